// AuthSettings.swift: how users prove who they are, as the operator chose.
// Belongs here: settings. Never here: flags (Configuration), keys as files (Runtime/JWTKeySource.swift).
// Source: flags.tsv: --auth-token, --auth-token-ttl, --bcrypt-cost, --client-cert-auth.

/// What users get when they log in.
enum TokenKind: Sendable {
    /// A secret that the cluster remembers while it is used.
    case simple
    /// A signed statement that says for itself who it is for.
    case jwt(JWTProvider)
    /// Nothing: nobody can log in with a password.
    case none
}

/// Settings of proving who one is.
struct AuthSettings: Sendable {
    var tokens = TokenKind.simple
    /// Seconds that a simple token lives after its last use.
    var tokenTTLSeconds: UInt64 = 300
    /// The work of a new password's hash.
    var bcryptCost = 10
    /// Whether the common name of a verified client certificate is a user's name (A13).
    var trustsCertificates = false
}
