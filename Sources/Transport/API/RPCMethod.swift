// RPCMethod.swift: what Transport knows of a method: its path and who may send how many messages.
// Belongs here: the description. Never here: the lookup (GRPC/MethodTable.swift), message types
// (Server).

/// How many messages each side of a method sends.
public enum RPCKind: Sendable {
    /// One request, one reply.
    case unary
    /// One request, any number of replies.
    case serverStream
    /// Any number of requests and replies, in any order.
    case bidi
}

/// One method the server answers.
public struct RPCMethod: Sendable {
    /// The `:path` of its calls, such as `/etcdserverpb.KV/Range`.
    public var path: String
    /// How many messages each side sends.
    public var kind: RPCKind

    /// Describes a method.
    public init(path: String, kind: RPCKind) {
        self.path = path
        self.kind = kind
    }
}
