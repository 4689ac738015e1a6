// PageStore+Read.swift: finding the bytes of a page as of an index.
// Belongs here: versions, cache, file, in that order. Never here: who may read (VFS/), what is
// evicted (+Cache).
// Why it is right without a lock: a checkpoint that changes the file's image first hangs the old
// one into the chain, if any reader still needs it. So after taking the file's image, a look at the
// chain tells whether it was too late.

internal import Synchronization

extension PageStore {
    /// The page as of `index` without a copy, or nil if the cache has no room for it now.
    ///
    /// The caller is between `enter` and `leave`, has pinned `index` or is the writer, and lets go
    /// of the bytes before.
    @inline(__always)
    func frame(of page: UInt32, at index: UInt64) throws(StorageError) -> Frame? {
        let slot = table[page]
        if let version = slot.pointee.version(at: index) { return version }
        if let raw = slot.pointee.clean.load(ordering: .acquiring) {
            if let version = slot.pointee.version(at: index) { return version }
            let frame = Frame(raw)
            frame.touch()
            return frame
        }
        return try loadIntoCache(page, slot, at: index)
    }

    /// The page as of `index`; the bytes are the spare page's if the cache has no room.
    ///
    /// Writer.
    func bytes(of page: UInt32, at index: UInt64) throws(StorageError) -> UnsafeRawPointer {
        if let frame = try frame(of: page, at: index) { return UnsafeRawPointer(frame.bytes) }
        try copy(page, at: index, to: sparePage)
        return UnsafeRawPointer(sparePage)
    }

    /// Copies a page as of `index`, from the file if need be, leaving the cache as it is.
    ///
    /// Same conditions as `frame(of:at:)`; `output` has room for a page and is aligned to 8.
    func copy(
        _ page: UInt32, at index: UInt64, to output: UnsafeMutableRawPointer
    ) throws(StorageError) {
        let slot = table[page]
        while true {
            if let version = slot.pointee.version(at: index) {
                output.copyMemory(from: version.bytes, byteCount: PageLimits.pageBytes)
                return
            }
            if let raw = slot.pointee.clean.load(ordering: .acquiring) {
                if slot.pointee.version(at: index) != nil { continue }
                output.copyMemory(from: Frame(raw).bytes, byteCount: PageLimits.pageBytes)
                return
            }
            let image = baseImage(slot)
            try readFile(page, into: output)
            if slot.pointee.version(at: index) != nil { continue }
            if try verify(page, output, is: image, slot) { return }
        }
    }

    /// Reads a page of the file into a new frame of the cache.
    private func loadIntoCache(
        _ page: UInt32, _ slot: UnsafeMutablePointer<PageSlot>, at index: UInt64
    ) throws(StorageError) -> Frame? {
        while true {
            let image = baseImage(slot)
            if image.isSuspect { return nil }
            gate.lock()
            let taken = takeCacheFrame(page: page)
            gate.unlock()
            guard let frame = taken else { return nil }
            do {
                try readFile(page, into: frame.bytes)
                if let version = slot.pointee.version(at: index) {
                    giveBack(frame)
                    return version
                }
                if try !verify(page, frame.bytes, is: image, slot) {
                    giveBack(frame)
                    continue
                }
            } catch {
                giveBack(frame)
                throw error
            }
            frame.header.pointee.hash = image.hash
            if let installed = install(frame, slot, expecting: image.index) { return installed }
            // A checkpoint or another reader was faster: look again.
            if let version = slot.pointee.version(at: index) { return version }
            if let raw = slot.pointee.clean.load(ordering: .acquiring),
                slot.pointee.version(at: index) == nil
            {
                return Frame(raw)
            }
        }
    }

    private func giveBack(_ frame: Frame) {
        gate.lock()
        pool.give(frame)
        gate.unlock()
    }

    /// What the file is said to hold of a page, as one consistent pair.
    func baseImage(
        _ slot: UnsafeMutablePointer<PageSlot>
    ) -> (index: UInt64, hash: UInt64, isSuspect: Bool) {
        gate.lock()
        defer { gate.unlock() }
        return (
            slot.pointee.baseIndex.load(ordering: .relaxed),
            slot.pointee.baseHash.load(ordering: .relaxed), slot.pointee.isSuspect
        )
    }

    private func readFile(
        _ page: UInt32, into output: UnsafeMutableRawPointer
    ) throws(StorageError) {
        let room = UnsafeMutableRawBufferPointer(start: output, count: PageLimits.pageBytes)
        do {
            let offset = UInt64(page - 1) << PageLimits.pageShift
            let count = try database.read(into: room, at: offset)
            // The file ends early: zeroes, which the checksum then judges.
            if count < room.count {
                (output + count).initializeMemory(
                    as: UInt8.self, repeating: 0, count: room.count - count)
            }
        } catch {
            throw .disk(error)
        }
    }

    /// Whether bytes from the file are what they should be; false if the file's image changed
    /// meanwhile.
    private func verify(
        _ page: UInt32, _ bytes: UnsafeRawPointer,
        is image: (index: UInt64, hash: UInt64, isSuspect: Bool),
        _ slot: UnsafeMutablePointer<PageSlot>
    ) throws(StorageError) -> Bool {
        #if SIMULATION
            if StorageBug.pageChecksumIgnored.isPlanted { return true }
        #endif
        // Redo mends a suspect page before anyone but redo sees it; then its checksum is compared.
        if image.isSuspect || PageHash.hash(page: page, bytes) == image.hash { return true }
        guard baseImage(slot).index == image.index else { return false }
        // Whoever asked for the page: what is not told here is mended only when a scrub comes by.
        let damage = StorageError.corruptPage(
            page: page, reason: "the file's bytes do not match their checksum")
        note(damage)
        throw damage
    }
}
