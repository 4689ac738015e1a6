// AuthLimits.swift: the bounds of users, roles, logins and of what is kept about them.
// Belongs here: numbers with their reason. Never here: user settings (Configuration).

enum AuthLimits {
    /// Users; a change of any reads all of them anew, at about 1 us each.
    static let usersMax = 100_000
    /// Roles.
    static let rolesMax = 100_000
    /// Roles of one user.
    static let rolesPerUserMax = 10_000
    /// Permissions of one role.
    static let permissionsPerRoleMax = 100_000

    /// Logins that have not ended, of all users: about 100 bytes each, here and in the store.
    static let loginsMax = 200_000
    /// The same of one user: nobody can keep the others out.
    static let loginsPerUserMax = 10_000
    /// Logins ended in one batch, a row each.
    static let expiredLoginsPerBatchMax = 500
    /// SHA-256.
    static let digestBytes = 32

    /// Letters of a token's secret: 52^16 are 91 bits (A3).
    static let secretLetters = 16
    /// Bytes of the longest token that is looked at; a JWT signed with RSA of 4096 bits has about 900.
    static let tokenBytesMax = 8192
    /// Tokens that an event loop remembers; then it begins anew.
    static let tokensPerLoopMax = 4096
    /// Calls of a loop that wait until a login of another member has come here.
    static let waitingMessagesMax = 1024

    /// A login is renewed when it is used this part of its lifetime after the last renewal, and lives as much
    /// longer: so it never ends too early.
    static let renewalsPerLifetime: UInt64 = 8

    /// Passwords that wait to be hashed: at 60 ms each on one thread, the last waits for 4 s.
    static let hashesWaitingMax = 64
    /// Bytes of the longest password: bcrypt looks at no more.
    static let passwordBytesMax = 72
    /// Passwords found to be right that an event loop remembers.
    static let passwordsPerLoopMax = 256
    /// How long it does so, in milliseconds.
    static let passwordMemoryMilliseconds: UInt64 = 300_000
}
