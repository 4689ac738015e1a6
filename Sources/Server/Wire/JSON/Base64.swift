// Base64.swift: bytes as text and back.
// Belongs here: the two alphabets of RFC 4648. Never here: what the bytes mean.
// Source: protobuf's JSON mapping: the standard alphabet with padding is written; either alphabet,
// with or without padding, is read; line ends are passed over, as Go's decoder does.

enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let invalid: UInt8 = 0xff
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: invalid, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        values[Int(UInt8(ascii: "-"))] = 62
        values[Int(UInt8(ascii: "_"))] = 63
        return values
    }()

    /// Appends the text of `bytes`.
    static func encode(_ bytes: UnsafeRawBufferPointer, into text: inout [UInt8]) {
        let size = (bytes.count + 2) / 3 * 4
        text.append(addingCapacity: size) { (span: inout OutputSpan<UInt8>) in
            alphabet.withUnsafeBufferPointer { alphabet in
                var place = 0
                while place < bytes.count {
                    let left = bytes.count - place
                    let first = UInt32(bytes[place]) << 16
                    let second = left > 1 ? UInt32(bytes[place + 1]) << 8 : 0
                    let group = first | second | (left > 2 ? UInt32(bytes[place + 2]) : 0)
                    span.append(alphabet[Int(group >> 18)])
                    span.append(alphabet[Int(group >> 12 & 63)])
                    span.append(left > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "="))
                    span.append(left > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "="))
                    place += 3
                }
            }
        }
    }

    /// The bytes of a text; nil if it is not base64.
    static func decode(_ text: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3 + 3)
        var group: UInt32 = 0
        var count = 0
        var padding = 0
        for character in text {
            if character == 0x0a || character == 0x0d { continue }
            if character == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            let value = values[Int(character)]
            guard value != invalid, padding == 0 else { return nil }
            group = group << 6 | UInt32(value)
            count += 1
            guard count == 4 else { continue }
            bytes.append(UInt8(truncatingIfNeeded: group >> 16))
            bytes.append(UInt8(truncatingIfNeeded: group >> 8))
            bytes.append(UInt8(truncatingIfNeeded: group))
            (group, count) = (0, 0)
        }
        // One character alone is no byte; padding, where there is any, fills the last group.
        guard count != 1, padding == 0 || count >= 2 && padding + count == 4 else { return nil }
        if count >= 2 { bytes.append(UInt8(truncatingIfNeeded: group >> (count == 2 ? 4 : 10))) }
        if count == 3 { bytes.append(UInt8(truncatingIfNeeded: group >> 2)) }
        return bytes
    }
}
