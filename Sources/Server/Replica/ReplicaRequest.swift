// ReplicaRequest.swift: what event loops ask of the replica, and what it tells them.
// Belongs here: the messages between threads, all Sendable. Never here: their handling.

internal import Transport

/// The call that waits for an answer: an event loop and a place in its table of calls.
struct CallTicket: Hashable, Sendable {
    let loop: Int32
    let slot: UInt32
    /// Tells a call from a later one in the same slot.
    let generation: UInt32
}

/// Who waits for what becomes of a request.
enum RequestOrigin: Hashable, Sendable {
    /// A call on one of this member's event loops.
    case call(CallTicket)
    /// Another member, which numbers what it forwards.
    case member(UInt64, sequence: UInt64)
    /// A member that is about to join, on a connection that this number stands for.
    case newcomer(UInt64)
    /// The replica itself, which only wants it done.
    case replica
    /// Nobody wants to know.
    case nobody
}

/// A request on its way to the replica.
struct ReplicaRequest: Sendable {
    let origin: RequestOrigin
    let body: Body
    /// The request's encoded size, which bounds of queues count.
    let byteCount: Int
    /// On whose authority it is carried out.
    let authority: Authority
    /// After this nobody waits for it any more: it is dropped where it still waits.
    var expires = Tick(milliseconds: .max)
    /// What the member that passed it on was at then.
    var sent = SenderState()

    init(
        origin: RequestOrigin, body: Body, byteCount: Int, authority: Authority = .nobody
    ) {
        self.origin = origin
        self.body = body
        self.byteCount = byteCount
        self.authority = authority
    }

    init(ticket: CallTicket, body: Body, byteCount: Int, authority: Authority = .nobody) {
        self.init(
            origin: .call(ticket), body: body, byteCount: byteCount, authority: authority)
    }

    enum Body: Sendable {
        case put(PutRequest)
        case deleteRange(DeleteRangeRequest)
        case txn(TxnRequest)
        case compact(CompactionRequest)
        case leaseGrant(LeaseGrantRequest)
        case leaseRevoke(LeaseRevokeRequest)
        case leaseKeepAlive(LeaseKeepAliveRequest)
        case leaseTimeToLive(LeaseTimeToLiveRequest)
        case leaseLeases
        case alarm(AlarmRequest)
        /// Hand leadership to this member; only the leader does that (M9).
        case moveLeader(to: UInt64)
        /// The nonce tells apart members that are added with the same URLs (G17, G18).
        case memberAdd(MemberAddRequest, nonce: UInt64)
        case memberRemove(MemberRemoveRequest)
        case memberUpdate(MemberUpdateRequest)
        case memberPromote(MemberPromoteRequest)
        /// A member started: its name and client URLs (K9).
        case publishMember(PublishMemberRequest)
        /// A member that lost its disk wants a fresh identity.
        case memberReplace(MemberReplaceRequest, nonce: UInt64)
        /// A change of users, roles, permissions or logins.
        case auth(AuthCommand)
        /// A token was used: the login lives on (etcd semantics A4).
        case loginUsed(LoginUsedRequest)
        /// Wants to know when reads that began before this may be served from local state (G7).
        case readIndex
        /// The loop has watches from now on, or has none any more.
        case subscribe(Bool)

        /// Whether it goes through the log.
        var isLogged: Bool {
            switch self {
            case .put, .deleteRange, .txn, .compact, .leaseGrant, .leaseRevoke, .alarm, .memberAdd,
                .memberRemove, .memberUpdate, .memberPromote, .publishMember, .memberReplace, .auth:
                true
            case .leaseKeepAlive, .leaseTimeToLive, .leaseLeases, .moveLeader, .loginUsed,
                .readIndex, .subscribe:
                false
            }
        }
    }
}

extension ReplicaRequest {
    /// Whether it only asks when reads may be served.
    var isReadIndex: Bool {
        if case .readIndex = body { true } else { false }
    }
}

extension ReplicaRequest.Body {
    /// Whether it may change who the members are: such a request is a batch by itself.
    var changesMembers: Bool {
        switch self {
        case .memberAdd, .memberRemove, .memberUpdate, .memberPromote, .publishMember,
            .memberReplace:
            true
        case .put, .deleteRange, .txn, .compact, .leaseGrant, .leaseRevoke, .leaseKeepAlive,
            .leaseTimeToLive, .leaseLeases, .alarm, .moveLeader, .auth, .loginUsed, .readIndex,
            .subscribe:
            false
        }
    }
}

/// What the replica tells an event loop; order is kept.
enum LoopMessage: Sendable {
    /// The bytes of a response message; ends a unary call.
    case answer(CallTicket, [UInt8])
    /// The call failed.
    case failure(CallTicket, RPCStatus)
    /// Reads that asked under this ticket may go on.
    case readable(CallTicket)
    /// Events from `revision + 1` on will follow in order.
    case subscribed(revision: Int64)
    /// A published batch.
    case events(EventBatch)
    /// Events up to this revision were too many to hand over: read them from the store.
    case skipped(through: Int64)
}
