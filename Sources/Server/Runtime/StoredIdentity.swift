// StoredIdentity.swift: what a data directory says of its member before there is a database.
// Belongs here: the text of the file `identity`. Never here: the file (DataDirectory.swift).
//
//   martlet 1
//   member 8e9e05c52164694d
//   cluster cdf818194e3a8c32
//   founder 8e9e05c52164694d http://10.0.0.1:2380 m1      one line each: the members of a new cluster,
//   peer 91bc3c398fb3c146 http://10.0.0.2:2380 m2         or those that a joining member was told of

internal import Storage

/// A member's ids, and the members it knew when it began.
struct StoredIdentity: Equatable, Sendable {
    let identity: Identity
    /// Who founded the cluster with it; empty on a member that joined one.
    var founders: [MemberRow] = []
    /// Whom a joining member was told of: it listens to them until the database names the members.
    var peers: [MemberRow] = []

    /// Far more than the most members' lines.
    static let bytesMax: UInt64 = 256 << 10

    init(_ identity: Identity, founders: [MemberRow] = [], peers: [MemberRow] = []) {
        self.identity = identity
        self.founders = founders
        self.peers = peers
    }

    /// Reads the file's text; nil if it is not of this form.
    init?(text: String) {
        let lines = text.split(separator: "\n")
        guard lines.count >= 3, lines[0] == "martlet 1", lines[1].hasPrefix("member "),
            lines[2].hasPrefix("cluster "),
            let member = UInt64(lines[1].dropFirst("member ".count), radix: 16),
            let cluster = UInt64(lines[2].dropFirst("cluster ".count), radix: 16)
        else { return nil }
        identity = Identity(clusterID: cluster, memberID: member)
        for line in lines.dropFirst(3) {
            guard let (word, row) = Self.member(line) else { return nil }
            switch word {
            case "founder": founders.append(row)
            case "peer": peers.append(row)
            default: return nil
            }
        }
    }

    private static func member(_ line: Substring) -> (word: Substring, MemberRow)? {
        // The name comes last: it may have spaces, or be empty.
        let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, let id = UInt64(parts[1], radix: 16) else { return nil }
        let urls = parts[2].split(separator: ",").map(String.init)
        return (
            parts[0],
            MemberRow(
                id: id, name: String(parts[3]), peerURLs: urls, clientURLs: [], role: .voter)
        )
    }

    /// The file's text.
    var text: String {
        let lines =
            [
                "martlet 1", "member \(identity.memberID.idText)",
                "cluster \(identity.clusterID.idText)",
            ] + founders.map { Self.line("founder", $0) } + peers.map { Self.line("peer", $0) }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func line(_ word: String, _ row: MemberRow) -> String {
        "\(word) \(row.id.idText) \(row.peerURLs.joined(separator: ",")) "
            + row.name.filter { !$0.isNewline }
    }
}
