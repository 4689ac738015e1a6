// MemberProcess+Snapshot.swift: fetching a snapshot from another member, piece by piece.
// Belongs here: the two ends of a transfer. Never here: pages and files (Storage/Snapshot).
// Source: Server/Runtime/SnapshotExchange.swift, SnapshotSender.swift and SnapshotReceiver.swift.

import Storage

@testable import Server

/// The transfers of one process.
struct SnapshotDesk {
    /// Transfers that this process sends.
    var sending = 0
    /// The one it receives; stays once it is complete.
    var isReceiving = false
    var nextFetch = Tick(milliseconds: 0)
    var trust = SnapshotTrust()

    static let sendersMax = 2
    static let retryMilliseconds: UInt64 = 500
    static let pieceBytes = 16 << 10
}

/// One transfer between two processes.
final class SnapshotTransfer {
    let source: MemberProcess
    let target: MemberProcess
    let staging: SnapshotStaging
    private var reader: SnapshotSource?

    init?(from source: MemberProcess, to target: MemberProcess, damage: Damage?) {
        self.source = source
        self.target = target
        do throws(StorageError) {
            staging = try SnapshotStaging.open(
                disk: target.node.disk, directory: MemberProcess.directoryPath,
                pages: target.store.pages, damage: damage)
        } catch {
            return nil
        }
    }

    private var isPossible: Bool {
        source.isAlive && target.isAlive
            && source.world.network.isOpen(from: source.node.place, to: target.node.place)
            && source.world.network.isOpen(from: target.node.place, to: source.node.place)
    }

    /// Opens the source with what the target has.
    func begin() {
        guard isPossible, source.snapshots.sending < SnapshotDesk.sendersMax,
            let have = SnapshotHave(decoding: staging.have.encoded())
        else { return fail() }
        guard
            let opened = sending({ (pages) throws(StorageError) in
                try pages.openSnapshotSource(for: have)
            })
        else { return fail() }
        reader = opened
        source.snapshots.sending += 1
        guard let state = StoreState(decoding: opened.state.encoded()) else { return fail() }
        do throws(StorageError) {
            try staging.begin(state)
            next()
        } catch {
            fail(error)
        }
    }

    /// What the source's end does; nil if it can't, of which the target learns no more than that.
    private func sending<Result>(
        _ body: (PageStore) throws(StorageError) -> Result
    ) -> Result? {
        do throws(StorageError) {
            return try body(source.store.pages)
        } catch {
            source.world.note(
                .snapshotFetched, source.node.place, 0, 2, "not sent: \(error)")
            return nil
        }
    }

    private func next() {
        let world = source.world
        let delay = world.network.latency(from: source.node.place, to: target.node.place)
        world.schedule(at: world.now.after(microseconds: delay)) { [self] in deliver() }
    }

    private func deliver() {
        let world = source.world
        guard isPossible else { return fail() }
        for node in [source.node, target.node] where world.isPaused(node) {
            return node.parked.append { [self] in deliver() }
        }
        let bytesMax = world.chances.strikes(.tinyPiece) ? 1 : SnapshotDesk.pieceBytes
        guard let reader, !world.chances.strikes(.brokenTransfer),
            let piece = sending({ (_) throws(StorageError) in
                try reader.next(bytesMax: bytesMax)
            })
        else { return fail() }
        do throws(StorageError) {
            if let piece {
                try staging.add(piece)
                return next()
            }
            let state = try staging.finish()
            end()
            world.note(.snapshotFetched, target.node.place, state.index, 0)
            world.marks.reach(.snapshotFetched)
            world.end(target.node, .reinstall)
        } catch {
            fail(error)
        }
    }

    private func end() {
        if reader != nil { source.snapshots.sending -= 1 }
        reader = nil
    }

    /// - Parameter error: what was wrong at the target's end; nil if nothing came any more.
    private func fail(_ error: StorageError? = nil) {
        end()
        guard target.isAlive else { return }
        if let error {
            target.snapshots.trust.failed(error)
            target.world.note(.snapshotFetched, target.node.place, 0, 1, "failed: \(error)")
        }
        target.world.marks.reach(.snapshotBrokenOff)
        target.snapshots.isReceiving = false
        target.snapshots.nextFetch = target.tick.advanced(
            milliseconds: SnapshotDesk.retryMilliseconds)
        do throws(StorageError) {
            try staging.save()
        } catch {
            target.world.marks.reach(.stagingNotSaved)
        }
    }
}

extension MemberProcess {
    /// Begins to fetch a snapshot; false if one is being fetched, or was tried a moment ago.
    ///
    /// - Parameter damage: what of the own database must not be relied on.
    @discardableResult
    func fetchSnapshot(from member: UInt64, damage: Damage?) -> Bool {
        guard !snapshots.isReceiving, tick >= snapshots.nextFetch else { return false }
        // One that is down counts as asked, as it does where its machine is dialled in vain.
        guard let place = world.place(of: member), let source = world.nodes[place].process else {
            return true
        }
        snapshots.isReceiving = true
        let delay = world.network.latency(from: node.place, to: place)
        after(microseconds: delay) { process in
            guard
                let transfer = SnapshotTransfer(
                    from: source, to: process, damage: process.snapshots.trust.doubting(damage))
            else {
                process.snapshots.isReceiving = false
                return
            }
            transfer.begin()
        }
        return true
    }
}
