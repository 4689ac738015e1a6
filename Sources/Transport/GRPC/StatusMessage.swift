// StatusMessage.swift: a status text as the grpc-message header carries it.
// Belongs here: percent-encoding. Never here: which texts there are.
// Source: gRPC over HTTP/2, "Status-Message": bytes 0x20...0x7E except % stand for themselves.

enum StatusMessage {
    /// The percent-encoded text, cut to `Limits.statusMessageBytesMax` between characters.
    static func encode(_ message: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(message.utf8.count)
        for scalar in message.unicodeScalars {
            let plain = scalar.value >= 0x20 && scalar.value <= 0x7E && scalar != "%"
            let size = plain ? 1 : 3 * UTF8.width(scalar)
            if bytes.count + size > Limits.statusMessageBytesMax { break }
            if plain {
                bytes.append(UInt8(scalar.value))
                continue
            }
            for byte in String(scalar).utf8 {
                bytes.append(UInt8(ascii: "%"))
                bytes.append(hexDigit(byte >> 4))
                bytes.append(hexDigit(byte & 15))
            }
        }
        return bytes
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}
