// LogTimestamp.swift: the wall clock as RFC 3339 text in UTC with milliseconds. Belongs here: the
// only wall clock of the Server besides certificate dates. Never here: anything that decides by
// time.

import Glibc

/// A point of wall-clock time.
struct LogTimestamp: Equatable {
    /// Milliseconds since 1970 in UTC.
    let millisecondsSince1970: Int64

    /// Reads the clock.
    static func now() -> LogTimestamp {
        var time = timespec()
        guard clock_gettime(CLOCK_REALTIME, &time) == 0 else {
            return LogTimestamp(millisecondsSince1970: 0)
        }
        return LogTimestamp(
            millisecondsSince1970: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Appends "2026-01-02T03:04:05.678Z".
    func write(to line: inout [UInt8]) {
        let (seconds, milliseconds) = Self.divide(millisecondsSince1970, by: 1000)
        let (days, second) = Self.divide(seconds, by: 86_400)
        let (year, month, day) = Self.civil(daysSince1970: days)
        Self.write(year, digits: 4, then: "-", to: &line)
        Self.write(month, digits: 2, then: "-", to: &line)
        Self.write(day, digits: 2, then: "T", to: &line)
        Self.write(second / 3600, digits: 2, then: ":", to: &line)
        Self.write(second / 60 % 60, digits: 2, then: ":", to: &line)
        Self.write(second % 60, digits: 2, then: ".", to: &line)
        Self.write(milliseconds, digits: 3, then: "Z", to: &line)
    }

    /// Division that rounds down, so times before 1970 work too.
    private static func divide(_ value: Int64, by divisor: Int64) -> (Int64, Int64) {
        let remainder = ((value % divisor) + divisor) % divisor
        return ((value - remainder) / divisor, remainder)
    }

    /// The Gregorian date of a day, counted in years that begin in March so that leap days come
    /// last.
    private static func civil(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let daysSinceMarch0 = daysSince1970 + 719_468
        let (era, dayOfEra) = divide(daysSinceMarch0, by: 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    private static func write(
        _ value: Int64, digits: Int, then separator: Unicode.Scalar, to line: inout [UInt8]
    ) {
        var divisor: Int64 = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            line.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
        line.append(UInt8(ascii: separator))
    }
}
