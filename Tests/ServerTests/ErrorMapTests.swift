// ErrorMapTests.swift: the table of errors, row by row against the texts and codes of etcd.
// Belongs here: every case of EtcdError. Never here: when an error occurs.
// Source: errors.tsv; where it tells the code on the wire from the declared one, the former.

import Testing
import Transport

@testable import Server

@Suite("error map")
struct ErrorMapTests {
    /// Number of the code on the wire, and the whole text.
    private static let rows: [(error: EtcdError, code: UInt8, text: String)] = [
        (.emptyKey, 3, "etcdserver: key is not provided"),
        (.keyNotFound, 3, "etcdserver: key not found"),
        (.valueProvided, 3, "etcdserver: value is provided"),
        (.leaseProvided, 3, "etcdserver: lease is provided"),
        (.tooManyOperations, 3, "etcdserver: too many operations in txn request"),
        (.duplicateKey, 3, "etcdserver: duplicate key given in txn request"),
        (.invalidClientAPIVersion, 3, "etcdserver: invalid client api version"),
        (.invalidSortOption, 3, "etcdserver: invalid sort option"),
        (.compacted, 11, "etcdserver: mvcc: required revision has been compacted"),
        (.futureRevision, 11, "etcdserver: mvcc: required revision is a future revision"),
        (.noSpace, 8, "etcdserver: mvcc: database space exceeded"),
        (.leaseNotFound, 5, "etcdserver: requested lease not found"),
        (.leaseExists, 9, "etcdserver: lease already exists"),
        (.leaseTTLTooLarge, 11, "etcdserver: too large lease TTL"),
        (.watchCanceled, 1, "etcdserver: watch canceled"),
        (.memberExists, 9, "etcdserver: member ID already exist"),
        (.peerURLExists, 9, "etcdserver: Peer URLs already exists"),
        (
            .notEnoughStartedMembers, 2,
            "etcdserver: re-configuration failed due to not enough started members"
        ),
        (.memberBadURLs, 3, "etcdserver: given member URLs are invalid"),
        (.memberNotFound, 5, "etcdserver: member not found"),
        (.memberNotLearner, 9, "etcdserver: can only promote a learner member"),
        (
            .learnerNotReady, 9,
            "etcdserver: can only promote a learner member which is in sync with leader"
        ),
        (.tooManyLearners, 9, "etcdserver: too many learner members in cluster"),
        (.requestTooLarge, 3, "etcdserver: request is too large"),
        (.tooManyRequests, 2, "etcdserver: too many requests"),
        (.rootUserNotFound, 9, "etcdserver: root user does not exist"),
        (.rootRoleNotGranted, 9, "etcdserver: root user does not have root role"),
        (.userExists, 9, "etcdserver: user name already exists"),
        (.userNotFound, 9, "etcdserver: user name not found"),
        (.roleExists, 9, "etcdserver: role name already exists"),
        (.roleNotFound, 9, "etcdserver: role name not found"),
        (.roleNameEmpty, 3, "etcdserver: role name is empty"),
        (
            .authenticationFailed, 3,
            "etcdserver: authentication failed, invalid user ID or password"
        ),
        (
            .noPasswordUser, 2,
            "auth: authentication failed, password was given for no password user"
        ),
        (.permissionNotGiven, 3, "etcdserver: permission not given"),
        (.roleNotGranted, 9, "etcdserver: role is not granted to the user"),
        (.permissionNotGranted, 9, "etcdserver: permission is not granted to the role"),
        (.authNotEnabled, 9, "etcdserver: authentication is not enabled"),
        (.invalidAuthManagement, 3, "etcdserver: invalid auth management"),
        (.passwordTooLong, 2, "bcrypt: password length exceeds 72 bytes"),
        (.passwordHoldsNUL, 3, "bcrypt: a password must not hold a NUL"),
        (.invalidPasswordHash, 3, "auth: hashedPassword must be the base64 of a bcrypt hash"),
        (.verifyOnlyKey, 2, "auth: token signing attempted with verify-only key"),
        (.userNameEmpty, 3, "etcdserver: user name is empty"),
        (.permissionDenied, 7, "etcdserver: permission denied"),
        (.invalidAuthToken, 16, "etcdserver: invalid auth token"),
        (.authRevisionOld, 3, "etcdserver: revision of auth store is old"),
        (.noLeader, 14, "etcdserver: no leader"),
        (.notLeader, 9, "etcdserver: not leader"),
        (.leaderChanged, 14, "etcdserver: leader changed"),
        (.notCapable, 9, "etcdserver: not capable"),
        (.stopped, 14, "etcdserver: server stopped"),
        (.timeout, 14, "etcdserver: request timed out"),
        (
            .timeoutLeaderFailure, 14,
            "etcdserver: request timed out, possibly due to previous leader failure"
        ),
        (
            .timeoutConnectionLost, 14,
            "etcdserver: request timed out, possibly due to connection lost"
        ),
        (
            .timeoutAppliedIndex, 14,
            "etcdserver: request timed out, waiting for the applied index took too long"
        ),
        (.unhealthy, 14, "etcdserver: unhealthy cluster"),
        (.corrupt, 15, "etcdserver: corrupt cluster"),
        (.notSupportedForLearner, 9, "etcdserver: rpc not supported for learner"),
        (.badLeaderTransferee, 9, "etcdserver: bad leader transferee"),
        (.wrongDowngradeVersionFormat, 3, "etcdserver: wrong downgrade target version format"),
        (.invalidDowngradeVersion, 3, "etcdserver: invalid downgrade target version"),
        (.clusterVersionUnknown, 9, "etcdserver: cluster version not found during downgrade"),
        (.downgradeInProgress, 9, "etcdserver: cluster has a downgrade job in progress"),
        (.noDowngradeInProgress, 9, "etcdserver: no inflight downgrade job"),
        (.canceled, 1, "etcdserver: request canceled"),
        (.deadlineExceeded, 4, "etcdserver: context deadline exceeded"),
        (.contextDeadlineExceeded, 4, "context deadline exceeded"),
        (
            .leaderTransferTimeout, 2,
            "etcdserver: request timed out, leader transfer took too long"
        ),
        (.unknownMethod, 2, "etcdserver: unknown method"),
        (.notPrimaryLessor, 2, "not a primary lessor"),
        (.rangeStreamSortOrder, 12, "RangeStream does not support custom sort orders"),
        (.rangeStreamFilter, 12, "RangeStream does not support revision filters"),
        (.unknownHealthService, 5, "unknown service"),
        (.sessionExpired, 2, "mutex: session is expired"),
        (.campaignExpired, 2, "election: session is expired"),
        (.electionNoLeader, 2, "election: no leader"),
        (.electionNotLeader, 2, "election: not leader"),
        (.leaderFieldMissing, 2, "\"leader\" field must be provided"),
    ]

    @Test("each error has the text and the code that etcd sends", arguments: rows)
    func row(error: EtcdError, code: UInt8, text: String) throws {
        let expected = RPCStatus(try #require(GRPCCode(rawValue: code)), text)
        #expect(error.status == expected)
    }

    @Test("no error is without a row")
    func complete() {
        #expect(Set(Self.rows.map(\.error)) == Set(EtcdError.allCases))
        #expect(Self.rows.count == EtcdError.allCases.count)
    }

    @Test("watch: the texts that refuse a watch")
    func watchReasons() {
        #expect(
            WatchCancelReason.duplicateWatchID
                == "mvcc: duplicate watch ID provided on the WatchStream")
        #expect(WatchCancelReason.emptyRange == "mvcc: watcher range is empty")
        #expect(
            WatchCancelReason.negativeRevision
                == "etcdserver: mvcc: required revision has been compacted")
        let refusals: [(EtcdError, String)] = [
            (.userNameEmpty, "code = InvalidArgument desc = etcdserver: user name is empty"),
            (.permissionDenied, "code = PermissionDenied desc = etcdserver: permission denied"),
            (.invalidAuthToken, "code = Unauthenticated desc = etcdserver: invalid auth token"),
            (
                .authRevisionOld,
                "code = InvalidArgument desc = etcdserver: revision of auth store is old"
            ),
        ]
        for (error, text) in refusals {
            #expect(WatchCancelReason.refused(error.status) == "rpc error: " + text)
        }
    }

    @Test("bytes that are no message end the call with Internal, as Go's gRPC does")
    func undecodable() {
        let error = WireError.truncated(offset: 7)
        #expect(error.unaryStatus.code == .internal)
        #expect(
            error.unaryStatus.message
                == "grpc: error unmarshalling request: message ends inside a field at byte 7")
        #expect(
            error.streamStatus.message
                == "grpc: failed to unmarshal the received message: "
                + "message ends inside a field at byte 7")
    }

    @Test("a transaction past the decoder's bound has too many operations, not bad bytes")
    func tooManyItems() {
        #expect(WireError.tooManyItems.unaryStatus == EtcdError.tooManyOperations.status)
    }
}
