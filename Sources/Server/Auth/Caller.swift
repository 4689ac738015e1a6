// Caller.swift: who asks for something, as far as that is proven.
// Belongs here: plain values. Never here: how it is proven (LoopAuth.swift), what it allows (AccessTable.swift).
// Source: etcd semantics G10, A13; RequestHeader.username and auth_revision of etcd's raft_internal.proto.

/// What a call brings along to prove who makes it.
struct Credentials: Equatable, Sendable {
    /// The token of its metadata, or nil.
    var token: String?
    /// The common name of the client's verified certificate, where such certificates name users.
    var commonName: String?
}

/// A user that has proven to be it.
///
/// An object, so that a request that carries none grows by one word.
final class Caller: Sendable {
    /// The user's name, UTF-8.
    let name: [UInt8]
    /// The auth revision under which that was proven: a change since then makes it void for keys.
    let revision: UInt64

    init(name: [UInt8], revision: UInt64) {
        self.name = name
        self.revision = revision
    }
}

/// On whose authority a request is carried out.
enum Authority: Sendable {
    /// Nobody has proven anything: where calls are checked, nothing is allowed that needs a user.
    case nobody
    case user(Caller)
    /// A member does it on its own: nobody asked for it.
    case member

    /// The user, if it is one.
    var caller: Caller? {
        if case .user(let caller) = self { return caller }
        return nil
    }
}
