// PasswordHash.swift: bcrypt, by the system's libcrypt.
// Belongs here: hashing and comparing. Never here: when, on which thread (Runtime/ComputePool.swift), storing.
// Source: crypt(5); Go's golang.org/x/crypto/bcrypt, whose hashes an etcd database holds. Slow on purpose: some 60 ms
// at cost 10. Never on an event loop or the replica's thread.

internal import CCrypt
internal import Glibc

/// A bcrypt hash as text: version, cost, 22 letters of salt and 31 of hash.
enum PasswordHash {
    /// Bytes of randomness in a hash.
    static let saltBytes = 16
    /// `--bcrypt-cost`, as etcd allows it.
    static let costs = 4...31

    private static let length = 60
    private static let versionLength = 4

    /// Hashes a password; nil if the library can't.
    ///
    /// - Parameters:
    ///   - password: At most 72 bytes, without NUL.
    ///   - cost: The logarithm of the work, out of `costs`.
    ///   - salt: `saltBytes` random bytes.
    static func make(_ password: [UInt8], cost: Int, salt: [UInt8]) -> [UInt8]? {
        precondition(costs.contains(cost) && salt.count == saltBytes, "cost \(cost)")
        let digits = cost < 10 ? "0\(cost)" : "\(cost)"
        guard let hash = crypt(password, setting: Array("$2b$\(digits)$".utf8) + encode(salt))
        else { return nil }
        // What Go's library writes, and what etcd's files hold; both versions mean the same.
        return Array("$2a$".utf8) + hash[versionLength...]
    }

    /// Whether a password is the one a hash was made of.
    static func matches(_ password: [UInt8], _ hash: [UInt8]) -> Bool {
        // libcrypt takes the NUL for the end, and then another password would match as well.
        guard isHash(hash), !password.contains(0) else { return false }
        // Its "2a" differs from Go's for some passwords that are not ASCII; its "2b" is the same.
        let setting = Array("$2b$".utf8) + hash[versionLength...]
        guard let found = crypt(password, setting: setting) else { return false }
        var difference: UInt8 = 0
        for (left, right) in zip(found[versionLength...], hash[versionLength...]) {
            difference |= left ^ right
        }
        return difference == 0 && found.count == hash.count
    }

    /// Whether a text has the form of a hash.
    static func isHash(_ text: [UInt8]) -> Bool {
        guard text.count == length, text[0] == UInt8(ascii: "$"), text[1] == UInt8(ascii: "2"),
            [UInt8(ascii: "a"), UInt8(ascii: "b"), UInt8(ascii: "y")].contains(text[2]),
            text[3] == UInt8(ascii: "$"), text[6] == UInt8(ascii: "$"),
            let cost = Int(String(decoding: text[4..<6], as: UTF8.self)), costs.contains(cost)
        else { return false }
        return text[7...].allSatisfy { letters.contains($0) }
    }

    private static func crypt(_ password: [UInt8], setting: [UInt8]) -> [UInt8]? {
        // On the heap, and never as a value: it is larger than the stack of some threads can take.
        let size = MemoryLayout<crypt_data>.size
        let data = UnsafeMutableRawPointer.allocate(
            byteCount: size, alignment: MemoryLayout<crypt_data>.alignment)
        data.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        defer {
            // The password's traces.
            explicit_bzero(data, size)
            data.deallocate()
        }
        let phrase = password.map { CChar(bitPattern: $0) } + [0]
        let options = setting.map { CChar(bitPattern: $0) } + [0]
        guard let text = crypt_rn(phrase, options, data, Int32(size)) else { return nil }
        let hash = Array(UnsafeRawBufferPointer(start: text, count: min(strlen(text), Self.length)))
        return isHash(hash) ? hash : nil
    }

    private static let letters = Array(
        "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)

    /// bcrypt's own base 64: 16 bytes are 22 letters.
    private static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        var place = 0
        while place < bytes.count {
            let left = bytes.count - place
            let first = UInt32(bytes[place]) << 16
            let second = left > 1 ? UInt32(bytes[place + 1]) << 8 : 0
            let group = first | second | (left > 2 ? UInt32(bytes[place + 2]) : 0)
            for letter in 0..<min(left + 1, 4) {
                text.append(letters[Int(group >> UInt32(18 - 6 * letter) & 63)])
            }
            place += 3
        }
        return text
    }
}
