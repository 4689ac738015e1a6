// Membership+Bytes.swift: a configuration as bytes, alone and in the payload of its entry.
// Belongs here: the layout. Never here: what may follow what (Membership+Change.swift).
//
//   configuration   offset 0   version, 1
//                   then for voters, outgoing, learners, learnersNext in turn:
//                   1 byte     how many
//                   8 bytes    each, little-endian, ascending
//   entry payload   4 bytes    length of the configuration, little-endian
//                   then       the configuration
//                   then       the caller's own bytes, which the core never looks at

extension Membership {
    private static let version: UInt8 = 1
    private static let lengthBytes = 4

    /// The configuration as bytes.
    ///
    /// - Precondition: `problem` is nil.
    public var encoded: [UInt8] {
        precondition(members.count <= Membership.membersMax, "\(members.count) members")
        var bytes = [Membership.version]
        for list in [voters, outgoing, learners, learnersNext] {
            bytes.append(UInt8(list.count))
            for member in list {
                for shift in 0..<8 {
                    bytes.append(UInt8(truncatingIfNeeded: member.rawValue >> (8 * UInt64(shift))))
                }
            }
        }
        return bytes
    }

    /// Reads `encoded` back; nil unless the bytes are exactly a well-formed configuration.
    public init?(decoding bytes: [UInt8]) { self.init(decoding: bytes[...]) }

    private init?(decoding bytes: ArraySlice<UInt8>) {
        guard bytes.first == Membership.version else { return nil }
        var rest = bytes.dropFirst()
        var lists: [[MemberID]] = []
        for _ in 0..<4 {
            guard let list = Membership.takeList(from: &rest) else { return nil }
            lists.append(list)
        }
        guard rest.isEmpty else { return nil }
        self.init(voters: [])
        (voters, outgoing, learners, learnersNext) = (lists[0], lists[1], lists[2], lists[3])
        guard problem == nil else { return nil }
    }

    private static func takeList(from rest: inout ArraySlice<UInt8>) -> [MemberID]? {
        guard let count = rest.popFirst(), Int(count) <= membersMax, rest.count >= Int(count) * 8
        else { return nil }
        var list: [MemberID] = []
        for _ in 0..<count {
            var number: UInt64 = 0
            for shift in 0..<8 { number |= UInt64(rest.removeFirst()) << (8 * UInt64(shift)) }
            list.append(MemberID(number))
        }
        return list
    }

    /// The payload of a membership entry: this configuration and the caller's own bytes.
    public func payload(with rest: [UInt8]) -> [UInt8] {
        let own = encoded
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Membership.lengthBytes + own.count + rest.count)
        for shift in 0..<Membership.lengthBytes {
            bytes.append(UInt8(truncatingIfNeeded: own.count >> (8 * shift)))
        }
        return bytes + own + rest
    }

    /// Takes the payload of a membership entry apart; nil if it is not one.
    ///
    /// The caller's own bytes are those from `restStart` on.
    public static func split(_ payload: [UInt8]) -> (membership: Membership, restStart: Int)? {
        guard payload.count >= lengthBytes else { return nil }
        var length = 0
        for shift in 0..<lengthBytes { length |= Int(payload[shift]) << (8 * shift) }
        guard length <= payload.count - lengthBytes else { return nil }
        let end = lengthBytes + length
        guard let membership = Membership(decoding: payload[lengthBytes..<end]) else { return nil }
        return (membership, end)
    }
}
