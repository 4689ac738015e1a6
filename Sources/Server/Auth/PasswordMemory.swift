// PasswordMemory.swift: passwords that were found to be right a while ago, so that logging in again is cheap.
// Belongs here: what is remembered, and for how long. Never here: comparing with a hash (PasswordHash.swift).
// Wish 31: clients that log in with every call, as etcdctl does, must not cost a hash each.
//
// What is kept is a digest under a key that this process drew and never shows, of user, stored hash and password:
// it can't be looked up without the password, does not outlive the process, and means nothing once the stored hash
// changes. Wrong passwords are never remembered: each costs whoever tries it the full time.

internal import Storage

/// The last logins of one event loop; confined to it.
struct PasswordMemory {
    private let key: [UInt8]
    // Looked up by digest, iterated only to drop what is old.
    private var known: [[UInt8]: Tick] = [:]

    /// - Parameter key: Random bytes that nobody else has.
    init(key: [UInt8]) {
        self.key = key
    }

    /// Whether this password was right for this user and hash not long ago.
    func holds(_ user: AuthUserRow, _ password: [UInt8], now: Tick) -> Bool {
        guard let until = known[digest(user, password)] else { return false }
        return now < until
    }

    /// Notes a password that is right.
    mutating func add(_ user: AuthUserRow, _ password: [UInt8], now: Tick) {
        if known.count >= AuthLimits.passwordsPerLoopMax {
            known = known.filter { now < $0.value }
            if known.count >= AuthLimits.passwordsPerLoopMax { known = [:] }
        }
        known[digest(user, password)] = now.advanced(
            milliseconds: AuthLimits.passwordMemoryMilliseconds)
    }

    private func digest(_ user: AuthUserRow, _ password: [UInt8]) -> [UInt8] {
        // Lengths keep one pair from reading like another.
        var message: [UInt8] = []
        for part in [user.name, user.hash, password] {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { message.append(contentsOf: $0) }
            message.append(contentsOf: part)
        }
        return SecretDigest.of(message, key: key)
    }
}
