// Timeout.swift: the grpc-timeout header.
// Belongs here: parsing. Never here: what happens when it passes
// (HTTP2/HTTP2Connection+Limits.swift). Source: gRPC over HTTP/2, "Timeout": at most 8 digits
// and one of H M S m u n.

/// The grpc-timeout header.
public enum Timeout {
    /// The header's value in nanoseconds, or nil if it is malformed.
    public static func parse(_ value: String) -> UInt64? {
        Array(value.utf8).withUnsafeBytes { parse($0) }
    }

    /// The header's value in nanoseconds, or nil if it is malformed.
    static func parse(_ value: UnsafeRawBufferPointer) -> UInt64? {
        guard value.count >= 2, value.count <= 9, let unit = value.last else { return nil }
        var number: UInt64 = 0
        for digit in value.dropLast() {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + UInt64(digit - UInt8(ascii: "0"))
        }
        let scale: UInt64
        switch unit {
        case UInt8(ascii: "n"): scale = 1
        case UInt8(ascii: "u"): scale = 1_000
        case UInt8(ascii: "m"): scale = 1_000_000
        case UInt8(ascii: "S"): scale = 1_000_000_000
        case UInt8(ascii: "M"): scale = 60_000_000_000
        case UInt8(ascii: "H"): scale = 3_600_000_000_000
        default: return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: scale)
        return overflow
            ? Limits.deadlineNanosecondsMax : min(product, Limits.deadlineNanosecondsMax)
    }
}
