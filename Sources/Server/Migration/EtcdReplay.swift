// EtcdReplay.swift: requests that etcd's log has and its database has not, carried out on the new store.
// Belongs here: the order of entries, handing them on. Never here: the form of requests (EtcdLoggedRequest.swift),
// whether etcd applied them (EtcdApplier.swift).
// Nothing that clients may have been told to be done is left out: what can't be carried out ends the import.

internal import Storage

/// The entries that a database is behind its log by.
struct EtcdReplay {
    /// A request, and whose it is.
    struct Step {
        /// The entry that has it.
        let entry: UInt64
        let body: ReplicaRequest.Body
        let authority: Authority
    }

    let steps: [Step]
    let entryCount: Int
    let firstIndex: UInt64
    let lastIndex: UInt64
    /// Entries that were not known to be committed.
    let uncommitted: Int
    /// Of the log.
    private let path: String

    private static let requestsPerBatch = 1000

    /// - Parameters:
    ///   - log: its entries follow on `database`'s consistent index.
    ///   - path: of the log, for messages.
    init(_ log: EtcdLog, after index: UInt64, path: String) throws(OfflineError) {
        var steps: [Step] = []
        var expected = index + 1
        for entry in log.entries {
            guard entry.index == expected else {
                throw .refused(
                    "\(path): the log goes on with entry \(entry.index), but the database ends with "
                        + "entry \(index): entry \(expected) is missing. \(Self.advice)")
            }
            expected += 1
            // Changes of the members are for the new cluster to make.
            guard entry.type == 0, !entry.data.isEmpty else { continue }
            do throws(EtcdRequestError) {
                let request = try EtcdLoggedRequest(entry.data)
                for change in request.changes {
                    steps.append(
                        Step(
                            entry: entry.index, body: try change.body(),
                            authority: request.authority(of: change)))
                }
            } catch {
                throw Self.failure(error, entry.index, log, after: index, path)
            }
        }
        self.steps = steps
        self.path = path
        entryCount = log.entries.count
        firstIndex = index + 1
        lastIndex = expected - 1
        uncommitted = log.entries.count { $0.index > log.committed }
    }

    private static func failure(
        _ error: EtcdRequestError, _ entry: UInt64, _ log: EtcdLog, after index: UInt64,
        _ path: String
    ) -> OfflineError {
        switch error {
        case .wire(let error): .damaged(file: path, reason: "entry \(entry): \(error)")
        case .unknown(let field):
            .refused(
                "\(path): the database has everything up to entry \(index), the log goes on to "
                    + "entry \(log.entries.last?.index ?? index), and entry \(entry) holds a "
                    + "request of a kind that is not known here (\(field)). \(advice)")
        case .password:
            .refused("\(path): entry \(entry) sets a password that bcrypt can't take. \(advice)")
        case .emptyPassword:
            .refused(
                "\(path): entry \(entry) sets an empty password, which etcd takes up to 3.4 and "
                    + "turns into none since 3.5. \(advice)")
        }
    }

    private static let advice =
        "Start etcd on this directory once and stop it with SIGTERM, or import what \"etcdctl "
        + "snapshot save\" makes"

    /// Carries the requests out, in the order of the log.
    func run(on builder: StoreBuilder, cluster: NewCluster) throws(OfflineError) {
        guard !steps.isEmpty else { return }
        let progress = Progress("carrying out the log", total: UInt64(steps.count))
        let executor = try storing(in: builder.path) { () throws(StorageError) in
            try Executor(
                connection: builder.openConnection(), identity: cluster.identity,
                settings: ExecutorSettings(), leaseIDs: LeaseIDGenerator(seed: 0),
                now: Tick(milliseconds: 0), leaseGrace: 0)
        }
        let applier = EtcdApplier(executor: executor)
        var (done, refused) = (0, 0)
        while done < steps.count {
            let batch = steps[done...].prefix(Self.requestsPerBatch)
            try builder.begin()
            executor.beginBatch(
                now: Tick(milliseconds: 0), term: StoreBuilder.term, bytesInUse: 0,
                isDiskFull: false, recordsEvents: false)
            for step in batch where try !isDone(step, by: applier, builder.path) { refused += 1 }
            try builder.commit()
            done += batch.count
            progress.update(UInt64(done))
        }
        progress.finish(
            "\(steps.count) requests of entries \(firstIndex) to \(lastIndex)"
                + (refused == 0 ? "" : ", \(refused) of them refused, as by etcd")
                + (uncommitted == 0
                    ? "" : "; the last \(uncommitted) entries were not known to be committed"))
    }

    /// Carries a request out; false if it is refused.
    private func isDone(
        _ step: Step, by applier: EtcdApplier, _ store: String
    ) throws(OfflineError) -> Bool {
        let outcome: EtcdOutcome
        do throws(RequestFailure) {
            outcome = try applier.apply(step.body, by: step.authority)
        } catch {
            guard case .store(let failure) = error else {
                preconditionFailure("the applier says by its outcome what is refused")
            }
            throw .store(failure, directory: store)
        }
        switch outcome {
        case .applied: return true
        case .refused: return false
        case .stopped(let reason):
            throw .refused(
                "\(path): entry \(step.entry) can't be carried out as by etcd: \(reason). "
                    + Self.advice)
        }
    }
}
