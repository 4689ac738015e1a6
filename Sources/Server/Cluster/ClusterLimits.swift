// ClusterLimits.swift: how large a cluster, and what is known of a member, may be.
// Belongs here: numbers with the sum that justifies them. Never here: user settings (Configuration).

enum ClusterLimits {
    /// Members of all roles.
    ///
    /// Raft takes twice as many, so that a joint configuration fits as well.
    static let membersMax = 32
    /// URLs of one kind that one member has.
    static let urlsPerMemberMax = 16
    /// Bytes of one URL: the longest host name, 253, with much to spare.
    ///
    /// A full list of members, 32 with 32 URLs each, is then 525 KiB: it fits into a frame of the
    /// bootstrap channel, 1 MiB.
    static let urlBytesMax = 512
    /// Bytes of a member's name.
    static let nameBytesMax = 256

    /// Whether a member may have these URLs.
    static func allow(urls: [String]) -> Bool {
        urls.count <= urlsPerMemberMax && urls.allSatisfy { $0.utf8.count <= urlBytesMax }
    }
}
