// MethodTable.swift: finds the method of a `:path` without making a string.
// Belongs here: the lookup. Never here: what an unknown path is answered with
// (GRPC/UnknownMethod.swift). Open addressing over a power of two at most a quarter full; the hash
// takes the length and the last 8 bytes, because paths of one service differ at the end. All paths
// lie in one array, so a lookup touches no reference counts but the table's own.

/// The methods of a server, by path.
final class MethodTable: Sendable {
    private struct Slot {
        var offset = 0
        var count = 0
        /// The method's place in the server's list; -1 in an empty slot.
        var index = -1
    }

    /// The table of a listener without gRPC.
    static let empty = MethodTable([])

    let kinds: [RPCKind]
    /// The service names, for the text that tells an unknown service from an unknown method.
    let services: Set<String>
    private let slots: [Slot]
    private let mask: Int
    private let paths: [UInt8]

    init(_ methods: [RPCMethod]) {
        var capacity = 16
        while capacity < methods.count * 4 { capacity *= 2 }
        var slots = [Slot](repeating: Slot(), count: capacity)
        var paths: [UInt8] = []
        var seen: Set<String> = []
        for (index, method) in methods.enumerated() {
            precondition(seen.insert(method.path).inserted, "\(method.path) is registered twice")
            let path = Array(method.path.utf8)
            var place = path.withUnsafeBytes { Self.hash($0) } & (capacity - 1)
            while slots[place].index >= 0 { place = (place + 1) & (capacity - 1) }
            slots[place] = Slot(offset: paths.count, count: path.count, index: index)
            paths += path
        }
        self.kinds = methods.map(\.kind)
        self.services = Set(
            methods.compactMap { method in
                method.path.lastIndex(of: "/").map { String(method.path[..<$0].dropFirst()) }
            })
        self.slots = slots
        self.mask = capacity - 1
        self.paths = paths
    }

    /// The index of the method with this path.
    func find(_ path: UnsafeRawBufferPointer) -> Int? {
        var place = Self.hash(path) & mask
        return paths.withUnsafeBytes { paths in
            while slots[place].index >= 0 {
                let slot = slots[place]
                let known = UnsafeRawBufferPointer(
                    rebasing: paths[slot.offset..<slot.offset + slot.count])
                if equalBytes(known, path) { return slot.index }
                place = (place + 1) & mask
            }
            return nil
        }
    }

    private static func hash(_ path: UnsafeRawBufferPointer) -> Int {
        var tail: UInt64 = 0
        if path.count >= 8 {
            tail = path.loadUnaligned(fromByteOffset: path.count - 8, as: UInt64.self)
        } else {
            for byte in path { tail = tail << 8 | UInt64(byte) }
        }
        let mixed = (tail ^ UInt64(path.count)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 33)
    }
}
