// Moment.swift: virtual time.
// Belongs here: the unit. Never here: whose clock shows what (Node/NodeClock.swift).

/// A point in virtual time: microseconds since the world began.
public struct Moment: Hashable, Comparable, Sendable {
    /// Microseconds since the world began.
    public let microseconds: UInt64

    /// The time `microseconds` after the beginning.
    public init(microseconds: UInt64) {
        self.microseconds = microseconds
    }

    /// When the world begins.
    public static let beginning = Moment(microseconds: 0)
    /// Later than everything.
    public static let never = Moment(microseconds: .max)

    /// Whether `left` comes before `right`.
    public static func < (left: Moment, right: Moment) -> Bool {
        left.microseconds < right.microseconds
    }

    /// The time so much later.
    public func after(microseconds: UInt64) -> Moment {
        Moment(microseconds: self.microseconds + microseconds)
    }

    /// Microseconds from `earlier` to this; 0 if it lies ahead.
    public func since(_ earlier: Moment) -> UInt64 {
        microseconds > earlier.microseconds ? microseconds - earlier.microseconds : 0
    }
}

extension UInt64 {
    /// So many milliseconds, in microseconds.
    static func milliseconds(_ count: UInt64) -> UInt64 { count * 1000 }
    /// So many seconds, in microseconds.
    static func seconds(_ count: UInt64) -> UInt64 { count * 1_000_000 }
}
