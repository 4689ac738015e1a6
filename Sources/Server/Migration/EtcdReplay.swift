// EtcdReplay.swift: requests that etcd's log has and its database has not, carried out on the new store.
// Belongs here: which entries matter, and handing them to the executor. Never here: what requests do.
// Source: messages.tsv, etcdserverpb.InternalRaftRequest. A request that etcd would refuse when it applies it is
// refused here by the same rules.

internal import Storage

/// A request in etcd's log (etcdserverpb.InternalRaftRequest).
struct EtcdLoggedRequest: WireDecodable {
    static func == (left: EtcdLoggedRequest, right: EtcdLoggedRequest) -> Bool {
        left.changes == right.changes && left.unsupported == right.unsupported
    }

    /// The message of a field that changes keys, leases or alarms.
    struct Change: Equatable {
        let field: UInt32
        let message: Bytes
    }

    /// At most one in what etcd writes.
    var changes: [Change] = []
    /// Fields that change something which can't be carried out here.
    var unsupported: [UInt32] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 4...10:
                changes.append(Change(field: field.number, message: try reader.bytes(field)))
            // Header, id, requests that only read, logins, remaining times, cluster version, members.
            case 1, 2, 3, 11, 100, 1012, 1013, 1102, 1106, 1107, 1202, 1300, 1301, 1302, 9900:
                try reader.skip(field)
            default:
                unsupported.append(field.number)
                try reader.skip(field)
            }
        }
    }

    /// The request in the executor's terms.
    static func body(_ change: Change) throws(WireError) -> ReplicaRequest.Body {
        let bytes = change.message.array
        switch change.field {
        case 4: return .put(try PutRequest(decoding: bytes))
        case 5: return .deleteRange(try DeleteRangeRequest(decoding: bytes))
        case 6: return .txn(try TxnRequest(decoding: bytes))
        case 7: return .compact(try CompactionRequest(decoding: bytes))
        case 8: return .leaseGrant(try LeaseGrantRequest(decoding: bytes))
        case 9: return .leaseRevoke(try LeaseRevokeRequest(decoding: bytes))
        case 10: return .alarm(try AlarmRequest(decoding: bytes))
        default: preconditionFailure("field \(change.field) is no change")
        }
    }
}

/// The entries that a database is behind its log by.
struct EtcdReplay {
    let bodies: [ReplicaRequest.Body]
    let entryCount: Int
    let firstIndex: UInt64
    let lastIndex: UInt64
    /// Entries that were not known to be committed.
    let uncommitted: Int

    private static let requestsPerBatch = 1000

    /// - Parameters:
    ///   - log: its entries follow on `database`'s consistent index.
    ///   - path: of the log, for messages.
    ///   - isAuthEnabled: requests would have to be checked against permissions.
    init(
        _ log: EtcdLog, after index: UInt64, path: String, isAuthEnabled: Bool
    ) throws(OfflineError) {
        var bodies: [ReplicaRequest.Body] = []
        var expected = index + 1
        for entry in log.entries {
            guard entry.index == expected else {
                throw .refused(
                    "\(path): the log goes on with entry \(entry.index), but the database ends with "
                        + "entry \(index): entry \(expected) is missing. Start etcd on this "
                        + "directory once and stop it, or import a snapshot")
            }
            expected += 1
            // Changes of the members are for the new cluster to make.
            guard entry.type == 0, !entry.data.isEmpty else { continue }
            let request: EtcdLoggedRequest
            do throws(WireError) {
                request = try EtcdLoggedRequest(decoding: entry.data.array)
                for change in request.changes {
                    bodies.append(try EtcdLoggedRequest.body(change))
                }
            } catch {
                throw .damaged(file: path, reason: "entry \(entry.index): \(error)")
            }
            guard request.unsupported.isEmpty else {
                throw Self.refusal(
                    path, log, index, "entry \(entry.index) changes users, roles or permissions")
            }
        }
        guard bodies.isEmpty || !isAuthEnabled else {
            throw Self.refusal(
                path, log, index, "auth is enabled: permissions decide what its requests do")
        }
        self.bodies = bodies
        entryCount = log.entries.count
        firstIndex = index + 1
        lastIndex = expected - 1
        uncommitted = log.entries.count { $0.index > log.committed }
    }

    private static func refusal(
        _ path: String, _ log: EtcdLog, _ index: UInt64, _ reason: String
    ) -> OfflineError {
        .refused(
            "\(path): the database has everything up to entry \(index), the log goes on to entry "
                + "\(log.entries.last?.index ?? index), and \(reason). Start etcd on this directory "
                + "once and stop it with SIGTERM, or import a snapshot")
    }

    /// Carries the requests out, in the order of the log.
    func run(on builder: StoreBuilder, cluster: NewCluster) throws(OfflineError) {
        guard !bodies.isEmpty else { return }
        let progress = Progress("carrying out the log", total: UInt64(bodies.count))
        let executor = try storing(in: builder.path) { () throws(StorageError) in
            try Executor(
                connection: builder.openConnection(), identity: cluster.identity,
                settings: ExecutorSettings(), leaseIDs: LeaseIDGenerator(seed: 0),
                now: Tick(milliseconds: 0), leaseGrace: 0)
        }
        var done = 0
        while done < bodies.count {
            let batch = bodies[done...].prefix(Self.requestsPerBatch)
            try builder.begin()
            executor.beginBatch(
                now: Tick(milliseconds: 0), term: StoreBuilder.term, bytesInUse: 0,
                isDiskFull: false, recordsEvents: false)
            for body in batch { try carryOut(body, on: executor, builder.path) }
            try builder.commit()
            done += batch.count
            progress.update(UInt64(done))
        }
        progress.finish(
            "\(bodies.count) requests of entries \(firstIndex) to \(lastIndex)"
                + (uncommitted == 0
                    ? "" : "; the last \(uncommitted) entries were not known to be committed"))
    }

    private func carryOut(
        _ body: ReplicaRequest.Body, on executor: Executor, _ path: String
    ) throws(OfflineError) {
        do throws(RequestFailure) {
            _ = try executor.execute(body)
        } catch {
            // What is refused was refused by etcd too, and has changed nothing.
            guard case .store(let failure) = error else { return }
            throw .store(failure, directory: path)
        }
    }
}
