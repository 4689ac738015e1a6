// MemberProcess+Disk.swift: the log's writer, its housekeeper and the checkpointer, as events.
// Belongs here: when each works, and how long that takes. Never here: the work (Storage).
// Source: Storage/WAL/LogWriter.swift and Server/Runtime/Checkpointer.swift.

@testable import Server
@testable import Storage

extension MemberProcess {
    // MARK: the log

    /// Lets the log's writer work if there is anything to write.
    func scheduleFlush() {
        if waitsForSpace, store.log.isRetryDue { waitsForSpace = false }
        guard !isFlushing, !waitsForSpace, store.log.queuedBytes > 0 else {
            return scheduleHousekeeping()
        }
        isFlushing = true
        if world.chances.strikes(.earlyFlush) {
            let report = write()
            return after(microseconds: 1) { $0.finishFlush(report) }
        }
        let faults = node.disk.faults
        var time = world.diskDice.heavyTail(mean: faults.syncMicroseconds)
        if world.diskDice.chance(perMillion: faults.stalls) {
            world.faults.count(.diskStall)
            time += faults.stallMicroseconds
        }
        // The bytes may reach the medium at once and the news later, or both at the end.
        if world.diskDice.chance(percent: 50) {
            let report = write()
            after(microseconds: time) { $0.finishFlush(report) }
        } else {
            after(microseconds: time) { $0.finishFlush($0.write()) }
        }
    }

    /// The files of the log in use, oldest first; the last one is being written.
    var segmentPaths: [String] { store.log.segments.map(\.file.path) }

    /// Begins to save what is queued, on a disk whose power is about to go.
    func writeInVain() { _ = write() }

    private func write() -> LogWriter.Report? {
        do throws(StorageError) {
            return try store.log.flush().map { .saved(through: $0) }
        } catch {
            guard case .disk(.full(let path)) = error else { return .failed(error) }
            return .full(.full(path: path))
        }
    }

    private func finishFlush(_ report: LogWriter.Report?) {
        isFlushing = false
        switch report {
        case .saved(let ticket):
            add(.saved(ticket))
            advanceCheckpoint()
        case .full: waitsForSpace = true
        case .failed(let error): add(.logFailed(error))
        case nil: break
        }
        scheduleFlush()
    }

    private func scheduleHousekeeping() {
        guard store.log.housekeepingAsked, !isKeepingHouse else { return }
        isKeepingHouse = true
        store.log.housekeepingAsked = false
        after(microseconds: world.diskDice.heavyTail(mean: .milliseconds(2))) { process in
            process.isKeepingHouse = false
            do throws(StorageError) {
                try process.store.log.housekeep()
            } catch .disk(.full) {
                process.world.faults.count(.diskFull)
            } catch {
                process.add(.logFailed(error))
            }
            process.scheduleFlush()
        }
    }

    // MARK: checkpoints

    func scheduleCheckpointLook() {
        after(microseconds: world.setup.checkpointLookMicroseconds) { process in
            process.lookAtCheckpoint()
            process.scheduleCheckpointLook()
        }
    }

    private func lookAtCheckpoint() {
        scrub()
        checkpointLooks += 1
        guard checkpoint == nil, checkpointTicket == nil else { return }
        let isDue =
            store.pages.overlayBytes > world.setup.checkpointOverlayBytes
            || checkpointLooks >= world.setup.looksPerCheckpoint || isHurried
            || world.chances.strikes(.earlyCheckpoint)
        guard isDue else { return }
        checkpointLooks = 0
        beginCheckpoint()
    }

    /// Looks at some pages of the database file.
    private func scrub() {
        do throws(StorageError) {
            let result = try store.pages.scrub(from: scrubPage, count: world.setup.scrubbedPages)
            scrubPage = result.nextPage ?? 1
            for page in result.badPages {
                world.marks.reach(.scrubFoundDamage)
                add(
                    .damaged(.corruptPage(page: page, reason: "its bytes in the file have changed"))
                )
            }
        } catch {
            scrubPage = 1
        }
    }

    private func beginCheckpoint() {
        do throws(StorageError) {
            guard let begun = try store.pages.beginCheckpoint() else { return }
            checkpointTicket = try store.log.append(checkpointIntent: begun.intent)
            checkpoint = begun
            scheduleFlush()
        } catch {
            failCheckpoint(error)
        }
    }

    /// Goes on once the intent is durable.
    private func advanceCheckpoint() {
        guard let running = checkpoint, let ticket = checkpointTicket,
            store.log.savedThrough >= ticket
        else { return }
        checkpointTicket = nil
        running.intentIsDurable()
        stepCheckpoint(running)
    }

    private func stepCheckpoint(_ running: Checkpoint) {
        let pages = 1 + Int(world.diskDice.within(0...world.setup.checkpointPagesPerStep))
        after(microseconds: world.diskDice.heavyTail(mean: .milliseconds(1))) { process in
            process.world.plan.writesCheckpoint(process.node)
            do throws(StorageError) {
                if try running.step(pages: pages) {
                    process.endCheckpoint(running)
                } else {
                    process.stepCheckpoint(running)
                }
            } catch {
                process.failCheckpoint(error)
            }
        }
    }

    private func endCheckpoint(_ ended: Checkpoint) {
        checkpoint = nil
        let log = store.log
        log.release(
            through: log.releasableIndex(
                upTo: ended.target.index,
                keepingBytes: isHurried || isAlone ? 0 : world.setup.logRetentionBytes))
        world.note(.checkpoint, node.place, ended.target.index, UInt64(ended.pageCount))
        world.marks.reach(.checkpointWritten)
        add(.logReleased(before: log.firstIndex))
        scheduleHousekeeping()
    }

    private func failCheckpoint(_ error: StorageError) {
        checkpoint = nil
        checkpointTicket = nil
        if case .disk(.full) = error { return }
        add(.logFailed(error))
    }

    // MARK: stopping in good order

    /// Folds everything into the database file and seals the log, as a member does that is stopped.
    func closeStore() {
        do throws(StorageError) {
            _ = try store.log.flush()
            if checkpoint == nil, let last = try store.pages.beginCheckpoint() {
                let ticket = try store.log.append(checkpointIntent: last.intent)
                _ = try store.log.flush()
                guard store.log.savedThrough >= ticket else { return }
                last.intentIsDurable()
                while try !last.step(pages: 256) {}
            }
            try store.log.seal()
        } catch {
            world.marks.reach(.stoppedOnBadDisk)
        }
    }
}
