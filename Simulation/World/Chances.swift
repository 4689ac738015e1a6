// Chances.swift: named points at which a seed may let something unusual but allowed happen.
// Belongs here: the points and counting. Elsewhere: where each stands (Node/). Never here: faults (Faults/).
// Source: FoundationDB's BUGGIFY: rare paths are taken often, each seed another part of them. The points stand where
// the simulator plays the operating system and the runtime, so that no switch for them is in the product.

/// A point at which something unusual may happen.
public enum ChancePoint: Int, CaseIterable, Sendable {
    /// What is queued for the log is on the disk at once.
    case earlyFlush
    /// A turn takes one thing of many that came in.
    case tinyTurn
    /// A turn is taken though nothing came in.
    case spareTurn
    /// A replica takes no more requests though it has room.
    case fullInbox
    /// A checkpoint begins before it is due.
    case earlyCheckpoint
    /// A piece of a snapshot holds a single page.
    case tinyPiece
    /// A transfer of a snapshot breaks off.
    case brokenTransfer
    /// An event loop is late in taking what the replica has for it.
    case lateDelivery
    /// A process starts with another election timeout than the others.
    case oddTimeout

    /// As reports show it.
    public var name: String { "\(self)" }
}

/// The points of one world.
public final class Chances {
    /// How often each point was visited while the seed had switched it on, in the order of the points.
    public private(set) var visits = [Int](repeating: 0, count: ChancePoint.allCases.count)
    /// How often something happened there.
    public private(set) var strikes = [Int](repeating: 0, count: ChancePoint.allCases.count)
    private let points: [ChancePoint]
    private let odds: UInt64
    private var dice: Dice
    /// The world is healed: nothing unusual happens any more.
    var isOver = false

    /// No point is switched on.
    public convenience init() { self.init(points: [], odds: 0, dice: Dice(seed: 0, .process)) }

    /// - Parameter odds: how often something happens at a visit, of a million.
    init(points: [ChancePoint], odds: UInt64, dice: Dice) {
        self.points = points
        self.odds = odds
        self.dice = dice
    }

    /// Whether something unusual happens here and now.
    func strikes(_ point: ChancePoint) -> Bool {
        guard !points.isEmpty, !isOver, points.contains(point) else { return false }
        visits[point.rawValue] += 1
        guard dice.chance(perMillion: odds) else { return false }
        strikes[point.rawValue] += 1
        return true
    }

    /// A number for what happens at a point.
    func draw(_ range: ClosedRange<UInt64>) -> UInt64 { dice.within(range) }

    /// Adds another run's counts.
    public func add(_ other: Chances) {
        for place in visits.indices {
            visits[place] += other.visits[place]
            strikes[place] += other.strikes[place]
        }
    }
}
