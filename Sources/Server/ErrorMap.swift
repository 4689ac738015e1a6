// ErrorMap.swift: every error text and code that the etcd services send, in one table.
// Belongs here: text, code, and the text inside a watch answer. Never here: when each occurs.
// Source: errors.tsv (etcd main). Go clients recognise an error by its text alone: never edit one.

import Transport

/// An error that a client of the KV, Watch, Lease, Maintenance, Cluster or Auth service can get.
///
/// The raw value is the text on the wire; `code` is the code on the wire, which for two of them is
/// Unknown although etcd declares another, because its server returns them without a status.
enum EtcdError: String, Error, CaseIterable, Sendable {
    // KV
    case emptyKey = "etcdserver: key is not provided"
    /// Also the answer to an operation of a transaction in which no member is set (rule T7).
    case keyNotFound = "etcdserver: key not found"
    case valueProvided = "etcdserver: value is provided"
    case leaseProvided = "etcdserver: lease is provided"
    case tooManyOperations = "etcdserver: too many operations in txn request"
    case duplicateKey = "etcdserver: duplicate key given in txn request"
    case invalidSortOption = "etcdserver: invalid sort option"
    case compacted = "etcdserver: mvcc: required revision has been compacted"
    case futureRevision = "etcdserver: mvcc: required revision is a future revision"
    case noSpace = "etcdserver: mvcc: database space exceeded"
    case requestTooLarge = "etcdserver: request is too large"
    case rangeStreamSortOrder = "RangeStream does not support custom sort orders"
    case rangeStreamFilter = "RangeStream does not support revision filters"

    // Watch and Lease
    case watchCanceled = "etcdserver: watch canceled"
    case leaseNotFound = "etcdserver: requested lease not found"
    case leaseExists = "etcdserver: lease already exists"
    case leaseTTLTooLarge = "etcdserver: too large lease TTL"
    case notPrimaryLessor = "not a primary lessor"

    // Cluster
    case memberExists = "etcdserver: member ID already exist"
    case peerURLExists = "etcdserver: Peer URLs already exists"
    case notEnoughStartedMembers =
        "etcdserver: re-configuration failed due to not enough started members"
    case memberBadURLs = "etcdserver: given member URLs are invalid"
    case memberNotFound = "etcdserver: member not found"
    case memberNotLearner = "etcdserver: can only promote a learner member"
    case learnerNotReady =
        "etcdserver: can only promote a learner member which is in sync with leader"
    case tooManyLearners = "etcdserver: too many learner members in cluster"
    case unhealthy = "etcdserver: unhealthy cluster"

    // Maintenance and health
    case badLeaderTransferee = "etcdserver: bad leader transferee"
    case leaderTransferTimeout = "etcdserver: request timed out, leader transfer took too long"
    case unknownMethod = "etcdserver: unknown method"
    case wrongDowngradeVersionFormat = "etcdserver: wrong downgrade target version format"
    case invalidDowngradeVersion = "etcdserver: invalid downgrade target version"
    case clusterVersionUnknown = "etcdserver: cluster version not found during downgrade"
    case downgradeInProgress = "etcdserver: cluster has a downgrade job in progress"
    case noDowngradeInProgress = "etcdserver: no inflight downgrade job"
    case unknownHealthService = "unknown service"

    // Auth
    case rootUserNotFound = "etcdserver: root user does not exist"
    case rootRoleNotGranted = "etcdserver: root user does not have root role"
    case userExists = "etcdserver: user name already exists"
    case userNotFound = "etcdserver: user name not found"
    case roleExists = "etcdserver: role name already exists"
    case roleNotFound = "etcdserver: role name not found"
    case roleNameEmpty = "etcdserver: role name is empty"
    case authenticationFailed = "etcdserver: authentication failed, invalid user ID or password"
    case noPasswordUser =
        "auth: authentication failed, password was given for no password user"
    case permissionNotGiven = "etcdserver: permission not given"
    case roleNotGranted = "etcdserver: role is not granted to the user"
    case permissionNotGranted = "etcdserver: permission is not granted to the role"
    case authNotEnabled = "etcdserver: authentication is not enabled"
    case invalidAuthManagement = "etcdserver: invalid auth management"
    /// A login where only the key to verify tokens is given.
    case verifyOnlyKey = "auth: token signing attempted with verify-only key"
    /// bcrypt looks at no more of a password, so a longer one is refused rather than cut.
    case passwordTooLong = "bcrypt: password length exceeds 72 bytes"
    /// bcrypt's library takes a NUL for the end of a password.
    case passwordHoldsNUL = "bcrypt: a password must not hold a NUL"
    /// A hash that a client made itself, and that is none.
    case invalidPasswordHash = "auth: hashedPassword must be the base64 of a bcrypt hash"
    // Lock and Election
    case sessionExpired = "mutex: session is expired"
    /// Unlike etcd, which lets a campaign win whose own key is gone.
    case campaignExpired = "election: session is expired"
    case electionNoLeader = "election: no leader"
    case electionNotLeader = "election: not leader"
    case leaderFieldMissing = "\"leader\" field must be provided"

    // Any service: who may call, and whether the cluster can answer
    case userNameEmpty = "etcdserver: user name is empty"
    case permissionDenied = "etcdserver: permission denied"
    case invalidAuthToken = "etcdserver: invalid auth token"
    case authRevisionOld = "etcdserver: revision of auth store is old"
    case invalidClientAPIVersion = "etcdserver: invalid client api version"
    case noLeader = "etcdserver: no leader"
    case notLeader = "etcdserver: not leader"
    case leaderChanged = "etcdserver: leader changed"
    case notCapable = "etcdserver: not capable"
    case notSupportedForLearner = "etcdserver: rpc not supported for learner"
    case stopped = "etcdserver: server stopped"
    case timeout = "etcdserver: request timed out"
    case timeoutLeaderFailure =
        "etcdserver: request timed out, possibly due to previous leader failure"
    case timeoutConnectionLost = "etcdserver: request timed out, possibly due to connection lost"
    case timeoutAppliedIndex =
        "etcdserver: request timed out, waiting for the applied index took too long"
    case tooManyRequests = "etcdserver: too many requests"
    case corrupt = "etcdserver: corrupt cluster"
    case canceled = "etcdserver: request canceled"
    case deadlineExceeded = "etcdserver: context deadline exceeded"
    /// A proposal made while no leader is known (rule G8): the same without etcd's prefix.
    case contextDeadlineExceeded = "context deadline exceeded"

    /// The gRPC code on the wire.
    var code: GRPCCode {
        switch self {
        case .watchCanceled, .canceled:
            .cancelled
        case .notEnoughStartedMembers, .tooManyRequests, .notPrimaryLessor,
            .leaderTransferTimeout, .unknownMethod, .noPasswordUser, .passwordTooLong,
            .verifyOnlyKey, .sessionExpired, .campaignExpired,
            .electionNoLeader, .electionNotLeader, .leaderFieldMissing:
            .unknown
        case .emptyKey, .keyNotFound, .valueProvided, .leaseProvided, .tooManyOperations,
            .duplicateKey, .invalidSortOption, .requestTooLarge, .memberBadURLs,
            .wrongDowngradeVersionFormat, .invalidDowngradeVersion, .userNameEmpty,
            .authRevisionOld, .invalidClientAPIVersion, .roleNameEmpty, .authenticationFailed,
            .permissionNotGiven, .invalidAuthManagement, .passwordHoldsNUL, .invalidPasswordHash:
            .invalidArgument
        case .deadlineExceeded, .contextDeadlineExceeded:
            .deadlineExceeded
        case .leaseNotFound, .memberNotFound, .unknownHealthService:
            .notFound
        case .permissionDenied:
            .permissionDenied
        case .noSpace:
            .resourceExhausted
        case .leaseExists, .memberExists, .peerURLExists, .memberNotLearner, .learnerNotReady,
            .tooManyLearners, .badLeaderTransferee, .clusterVersionUnknown,
            .downgradeInProgress, .noDowngradeInProgress, .notLeader, .notCapable,
            .notSupportedForLearner, .rootUserNotFound, .rootRoleNotGranted, .userExists,
            .userNotFound, .roleExists, .roleNotFound, .roleNotGranted, .permissionNotGranted,
            .authNotEnabled:
            .failedPrecondition
        case .compacted, .futureRevision, .leaseTTLTooLarge:
            .outOfRange
        case .rangeStreamSortOrder, .rangeStreamFilter:
            .unimplemented
        case .unhealthy, .noLeader, .leaderChanged, .stopped, .timeout, .timeoutLeaderFailure,
            .timeoutConnectionLost, .timeoutAppliedIndex:
            .unavailable
        case .corrupt:
            .dataLoss
        case .invalidAuthToken:
            .unauthenticated
        }
    }

    /// The status that ends the call.
    var status: RPCStatus {
        RPCStatus(code, rawValue)
    }
}

/// Texts of `cancel_reason` in an answer that refuses or ends one watch of a stream.
enum WatchCancelReason {
    /// A watch id that is in use on the stream (rule W2).
    static let duplicateWatchID = "mvcc: duplicate watch ID provided on the WatchStream"
    /// A range that holds no key (rule W3).
    static let emptyRange = "mvcc: watcher range is empty"
    /// A negative start revision (rule W7); for one that is compacted the text stays empty (W6).
    static let negativeRevision = EtcdError.compacted.rawValue

    /// The text for a watch that the caller may not have (rule W20).
    ///
    /// Clients compare the whole text, with the prefix that Go's gRPC puts before an error.
    static func refused(_ status: RPCStatus) -> String {
        "rpc error: code = \(status.code.goName) desc = \(status.message)"
    }
}

extension WireError {
    /// The status of a unary call whose request cannot be decoded; the code is gRPC's own choice.
    var unaryStatus: RPCStatus {
        status(prefix: "grpc: error unmarshalling request: ")
    }

    /// The status of a stream on which a message cannot be decoded.
    var streamStatus: RPCStatus {
        status(prefix: "grpc: failed to unmarshal the received message: ")
    }

    /// A transaction past the decoder's bound is past max-txn-ops too, and gets that answer.
    private func status(prefix: String) -> RPCStatus {
        if case .tooManyItems = self { return EtcdError.tooManyOperations.status }
        return RPCStatus(.internal, prefix + description)
    }
}

extension GRPCCode {
    /// The code's name as Go prints it in an error text.
    var goName: String {
        switch self {
        case .ok: "OK"
        case .cancelled: "Canceled"
        case .unknown: "Unknown"
        case .invalidArgument: "InvalidArgument"
        case .deadlineExceeded: "DeadlineExceeded"
        case .notFound: "NotFound"
        case .alreadyExists: "AlreadyExists"
        case .permissionDenied: "PermissionDenied"
        case .resourceExhausted: "ResourceExhausted"
        case .failedPrecondition: "FailedPrecondition"
        case .aborted: "Aborted"
        case .outOfRange: "OutOfRange"
        case .unimplemented: "Unimplemented"
        case .internal: "Internal"
        case .unavailable: "Unavailable"
        case .dataLoss: "DataLoss"
        case .unauthenticated: "Unauthenticated"
        }
    }
}
