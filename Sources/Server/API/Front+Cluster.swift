// Front+Cluster.swift: the Cluster service: what is left once a request is decoded.
// Belongs here: URLs of a request, the list of members. Never here: whether a change is allowed
// (Executor+Cluster).
// Source: etcd semantics K1, K2, K7; errors.tsv, "given member URLs are invalid".

internal import Storage
internal import Transport

extension Front {
    /// Lists the members, as this member knows them unless the client wants a quorum to agree (K1).
    func memberList(
        _ call: any ServiceCall, _ request: MemberListRequest
    ) throws(CallFailure) {
        guard request.linearizable else { return try listMembers(call) }
        try whenLinearizable(call) { () throws(CallFailure) in try self.listMembers(call) }
    }

    private func listMembers(_ call: any ServiceCall) throws(CallFailure) {
        if try auth.isEnabled() { try check(.memberList, try auth.caller(call.credentials)) }
        let rows = try reading { (reader, _) throws(StorageError) in
            try MemberTable(connection: reader.connection).all()
        }
        var writer = ProtoWriter()
        writer.memberListResponse(
            context.header(revision: 0), members: rows.map(WireMember.init))
        answer(call, writer.take())
    }

    func addMember(
        _ call: any ServiceCall, _ request: MemberAddRequest, _ byteCount: Int
    ) throws(CallFailure) {
        var request = request
        request.peerURLs = try Front.peerURLs(request.peerURLs)
        try submit(call, .memberAdd(request, nonce: context.environment.nonce), byteCount)
    }

    func updateMember(
        _ call: any ServiceCall, _ request: MemberUpdateRequest, _ byteCount: Int
    ) throws(CallFailure) {
        var request = request
        request.peerURLs = try Front.peerURLs(request.peerURLs)
        try submit(call, .memberUpdate(request), byteCount)
    }

    /// The URLs of a member, checked, sorted and each once: they are compared as they are stored.
    ///
    /// etcd does not check those of an update; nobody can dial what it then stores.
    private static func peerURLs(_ texts: [String]) throws(CallFailure) -> [String] {
        guard !texts.isEmpty else { throw CallFailure(.memberBadURLs) }
        do throws(ValueProblem) {
            var urls = Set<String>()
            for text in texts {
                // A list that holds one would take a comma for the end of a URL.
                guard !text.contains(",") else { throw ValueProblem(expected: "one URL") }
                urls.insert(try EndpointURL(text).description)
            }
            let sorted = urls.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            guard ClusterLimits.allow(urls: sorted) else { throw ValueProblem(expected: "less") }
            return sorted
        } catch {
            throw CallFailure(.memberBadURLs)
        }
    }
}
