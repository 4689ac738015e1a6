// JSONNumber.swift: a JSON number, read as the integer it must be.
// Belongs here: the grammar, and fractions and exponents that leave a whole number.
// Source: RFC 8259 section 6; protobuf's JSON mapping: 1.0 and 1e1 are integers, 1.5 is none.

/// A number by its parts.
struct JSONNumber {
    private let isNegative: Bool
    /// The digits without point, leading and trailing zeros.
    private let digits: [UInt8]
    /// The power of ten that the digits are multiplied by.
    private let exponent: Int

    /// Nil if the bytes are no number.
    init?(_ text: ArraySlice<UInt8>) {
        guard text.count <= JSONLimits.numberBytesMax else { return nil }
        var rest = text
        isNegative = rest.first == UInt8(ascii: "-")
        if isNegative { rest = rest.dropFirst() }
        let whole = rest.prefix { Self.isDigit($0) }
        rest = rest.dropFirst(whole.count)
        guard let first = whole.first, first != UInt8(ascii: "0") || whole.count == 1 else {
            return nil
        }
        var fraction = rest.prefix(0)
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            fraction = rest.prefix { Self.isDigit($0) }
            guard !fraction.isEmpty else { return nil }
            rest = rest.dropFirst(fraction.count)
        }
        var power = 0
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            let isDown = rest.first == UInt8(ascii: "-")
            if isDown || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
            let size = rest.prefix { Self.isDigit($0) }
            guard !size.isEmpty else { return nil }
            rest = rest.dropFirst(size.count)
            // Nothing beyond fits anyway.
            for digit in size { power = min(power * 10 + Int(digit - UInt8(ascii: "0")), 10_000) }
            if isDown { power = -power }
        }
        guard rest.isEmpty else { return nil }
        var all = Array(whole) + Array(fraction)
        var scale = power - fraction.count
        while all.last == UInt8(ascii: "0") {
            all.removeLast()
            scale += 1
        }
        digits = Array(all.drop { $0 == UInt8(ascii: "0") })
        exponent = digits.isEmpty ? 0 : scale
    }

    /// The number as a 64-bit integer; nil if it is none or does not fit.
    var int64: Int64? {
        guard let magnitude else { return nil }
        if isNegative {
            guard magnitude <= UInt64(1) << 63 else { return nil }
            return Int64(truncatingIfNeeded: 0 &- magnitude)
        }
        return Int64(exactly: magnitude)
    }

    /// The number as an unsigned 64-bit integer; nil if it is none or does not fit.
    var uint64: UInt64? {
        guard let magnitude, !isNegative || magnitude == 0 else { return nil }
        return magnitude
    }

    private var magnitude: UInt64? {
        guard exponent >= 0, digits.count + exponent <= 20 else { return nil }
        var value: UInt64 = 0
        for place in 0..<digits.count + exponent {
            let digit = place < digits.count ? digits[place] - UInt8(ascii: "0") : 0
            let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tenfold.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
