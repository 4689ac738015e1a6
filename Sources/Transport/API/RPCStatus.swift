// RPCStatus.swift: the outcome of a call as gRPC names it.
// Belongs here: the code numbers and the pair of code and text. Never here: which error gets which
// code (Server). Source: gRPC "Status codes and their use"; numbers are those on the wire.

/// The canonical gRPC status codes, with their numbers on the wire.
public enum GRPCCode: UInt8, CaseIterable, Sendable {
    case ok = 0
    case cancelled
    case unknown
    case invalidArgument
    case deadlineExceeded
    case notFound
    case alreadyExists
    case permissionDenied
    case resourceExhausted
    case failedPrecondition
    case aborted
    case outOfRange
    case unimplemented
    case `internal`
    case unavailable
    case dataLoss
    case unauthenticated
}

/// The status a call ends with.
public struct RPCStatus: Error, Equatable, Sendable {
    /// The canonical code.
    public var code: GRPCCode
    /// The text for people; Transport percent-encodes it on the wire.
    public var message: String

    /// Makes a status from a code and a text.
    public init(_ code: GRPCCode, _ message: String = "") {
        self.code = code
        self.message = message
    }

    /// The status of a call that succeeded.
    public static let ok = RPCStatus(.ok)
}
