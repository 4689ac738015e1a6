// AuthRandomTests.swift: random users ask for random things: nothing beyond what they were given, and all of that.
// Belongs here: comparing with the model of AuthSupport.swift. Never here: single rules (AuthTests).
// Source: etcd semantics A7, A8, T12, W20, W22. Through the executor as through the front end: what clients reach.

import Storage
import Testing
import Transport

@testable import Server

@Suite struct AuthRandomTests {
    @Test(
        "ranges: a set of them covers exactly what their keys say",
        arguments: 0..<200 as Range<UInt64>)
    func ranges(seed: UInt64) {
        var random = WireRandom(seed: seed)
        let permissions = (0..<Int.random(in: 0...5, using: &random)).map { _ in
            (key: ModelKeys.key(&random), rangeEnd: ModelKeys.rangeEnd(&random))
        }
        let ranges = KeyRanges(permissions)
        let keys = permissions.reduce(into: Set<[UInt8]>()) {
            $0.formUnion(ModelKeys.keys($1.key, $1.rangeEnd))
        }
        for _ in 0..<50 {
            let (key, rangeEnd) = (ModelKeys.key(&random), ModelKeys.rangeEnd(&random))
            let asked = ModelKeys.keys(key, rangeEnd).union([key])
            let bounds = KeyBounds(key: Bytes(key), rangeEnd: Bytes(rangeEnd))
            #expect(
                ranges.covers(bounds) == keys.isSuperset(of: asked),
                "\(permissions) and \(key) to \(rangeEnd)")
        }
    }

    /// A user at random, made by root, beside the model of it.
    fileprivate struct Subject {
        let rig: GuardedRig
        let token: String
        let root: String
        var grant = ModelGrant()
        var leased: [Int64: Set<[UInt8]>] = [:]

        init(_ random: inout WireRandom) throws {
            rig = try GuardedRig.enabled()
            root = try #require(rig.logIn("root", "r"))
            let permissions = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                WirePermission(
                    kind: Int32.random(in: 0...2, using: &random),
                    key: Bytes(ModelKeys.key(&random)), rangeEnd: Bytes(ModelKeys.rangeEnd(&random))
                )
            }
            // One of those that no key can lie in is refused.
            var valid: [WirePermission] = []
            for permission in permissions {
                let bounds = KeyBounds(key: permission.key, rangeEnd: permission.rangeEnd)
                if case .before(let end) = bounds.end, !(permission.key < end) { continue }
                // A later one for the same range replaces an earlier one.
                valid.removeAll {
                    $0.key == permission.key && $0.rangeEnd == permission.rangeEnd
                }
                valid.append(permission)
            }
            token = try rig.make("user", valid, root: root)
            for permission in valid { grant.add(permission) }
            for lease in 1...2 as ClosedRange<Int64> {
                rig.call(.leaseGrant, LeaseGrantRequest(ttl: 600, id: lease).encoded(), token: root)
                let key = ModelKeys.key(&random)
                rig.call(
                    .put, PutRequest(key: Bytes(key), lease: lease).encoded(), token: root)
                leased[lease, default: []].insert(key)
                for other in leased.keys where other != lease { leased[other]?.remove(key) }
            }
        }

        func status(_ method: Method, _ message: [UInt8]) -> RPCStatus? {
            rig.call(method, message, token: token).status
        }
    }

    private func range(_ random: inout WireRandom) -> RangeRequest {
        RangeRequest(
            key: Bytes(ModelKeys.key(&random)), rangeEnd: Bytes(ModelKeys.rangeEnd(&random)),
            serializable: random.bool(), countOnly: random.bool())
    }

    private func put(_ random: inout WireRandom) -> PutRequest {
        PutRequest(
            key: Bytes(ModelKeys.key(&random)), value: "v",
            lease: random.chance(3) ? Int64.random(in: 1...2, using: &random) : 0,
            prevKV: random.chance(3))
    }

    private func delete(_ random: inout WireRandom) -> DeleteRangeRequest {
        DeleteRangeRequest(
            key: Bytes(ModelKeys.key(&random)), rangeEnd: Bytes(ModelKeys.rangeEnd(&random)),
            prevKV: random.chance(3))
    }

    private func operation(_ random: inout WireRandom, depth: Int) -> RequestOp {
        switch Int.random(in: 0..<(depth > 0 ? 6 : 4), using: &random) {
        case 0, 1: .range(range(&random))
        case 2: .put(put(&random))
        case 3: .deleteRange(delete(&random))
        default: .txn(txn(&random, depth: depth - 1))
        }
    }

    private func txn(_ random: inout WireRandom, depth: Int) -> TxnRequest {
        func list() -> [RequestOp] {
            (0..<Int.random(in: 0...2, using: &random)).map { _ in
                operation(&random, depth: depth)
            }
        }
        let compares = (0..<(random.chance(3) ? 1 : 0)).map { _ in
            Compare(
                target: .version, key: Bytes(ModelKeys.key(&random)),
                operand: .version(Int64.random(in: 0...2, using: &random)),
                rangeEnd: Bytes(ModelKeys.rangeEnd(&random)))
        }
        return TxnRequest(compare: compares, success: list(), failure: list())
    }

    /// Whether a status agrees with the model: refused where it says so, and nowhere else.
    private func agrees(_ status: RPCStatus?, isAllowed: Bool) -> Bool {
        (status == EtcdError.permissionDenied.status) != isAllowed && status != nil
    }

    @Test(
        "through the front end: a user gets what the model allows",
        arguments: 0..<60 as Range<UInt64>)
    func calls(seed: UInt64) throws {
        var random = WireRandom(seed: seed)
        var subject = try Subject(&random)
        for _ in 0..<60 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                let request = range(&random)
                let status = subject.status(.range, request.encoded())
                #expect(agrees(status, isAllowed: subject.grant.allows(request)), "\(request)")
            case 1:
                let request = put(&random)
                let isAllowed = subject.grant.allows(request, leased: subject.leased)
                let status = subject.status(.put, request.encoded())
                #expect(agrees(status, isAllowed: isAllowed), "\(request)")
                if status == .ok { subject.note(request) }
            case 2:
                let request = delete(&random)
                let status = subject.status(.deleteRange, request.encoded())
                #expect(agrees(status, isAllowed: subject.grant.allows(request)), "\(request)")
                if status == .ok { subject.note(request) }
            case 3: try checkTxn(&random, &subject)
            default: try checkWatch(&random, subject)
            }
        }
    }

    private func checkTxn(_ random: inout WireRandom, _ subject: inout Subject) throws {
        let request = txn(&random, depth: 2)
        do throws(EtcdError) {
            try request.validate(operationsMax: 128)
        } catch {
            return
        }
        let isAllowed = subject.grant.allows(request, leased: subject.leased)
        let status = subject.status(.txn, request.encoded())
        #expect(agrees(status, isAllowed: isAllowed), "\(request)")
        // Which lease a key is attached to then would take a model of transactions: ask.
        if status == .ok { try subject.readLeases() }
    }

    private func checkWatch(_ random: inout WireRandom, _ subject: Subject) throws {
        let (key, rangeEnd) = (ModelKeys.key(&random), ModelKeys.rangeEnd(&random))
        let create = WatchCreateRequest(key: Bytes(key), rangeEnd: Bytes(rangeEnd))
        guard !create.isRangeEmpty else { return }
        let call = subject.rig.call(
            .watch, WatchRequest.create(create).encoded(), token: subject.token)
        let answer = try DecodedRefusal(decoding: try #require(call.messages.first))
        let isAllowed = subject.grant.allows(
            RangeRequest(key: Bytes(key), rangeEnd: Bytes(rangeEnd)))
        #expect(answer.canceled != isAllowed, "\(key) to \(rangeEnd)")
        subject.rig.front.cancel(holder: call.held)
    }
}

extension AuthRandomTests.Subject {
    fileprivate mutating func note(_ request: PutRequest) {
        let key = request.key.array
        for lease in leased.keys { leased[lease]?.remove(key) }
        if request.lease != 0 { leased[request.lease, default: []].insert(key) }
    }

    fileprivate mutating func note(_ request: DeleteRangeRequest) {
        let gone = ModelKeys.keys(request.key.array, request.rangeEnd.array)
        for lease in leased.keys { leased[lease]?.subtract(gone) }
    }

    fileprivate mutating func readLeases() throws {
        for lease in leased.keys {
            let question = LeaseTimeToLiveRequest(id: lease, keys: true)
            let call = rig.call(.leaseTimeToLive, question.encoded(), token: root)
            let answer = try DecodedLeaseKeys(decoding: try #require(call.messages.first))
            leased[lease] = Set(answer.keys)
        }
    }
}

/// The keys in an answer to LeaseTimeToLive.
private struct DecodedLeaseKeys: WireDecodable {
    var keys: [[UInt8]] = []

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 5: keys.append(try reader.bytes(field).array)
            default: try reader.skip(field)
            }
        }
    }
}
