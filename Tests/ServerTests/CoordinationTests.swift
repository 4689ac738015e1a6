// CoordinationTests.swift: Lock and Election step by step: what is asked of the store, and what is left
// behind when a client leaves at any of the steps.
// Source: etcd semantics X1-X7. Real clients: Tests/Conformance/test_lock_election.py.

import Storage
import Testing
import Transport

@testable import Server

@Suite("Lock and Election") struct CoordinationTests {
    private func lock(_ name: String, lease: Int64) -> [UInt8] {
        LockRequest(name: Bytes(name), lease: lease).encoded()
    }

    private func grant(_ rig: FrontRig, _ id: Int64) {
        let call = rig.call(.leaseGrant, LeaseGrantRequest(ttl: 600, id: id).encoded())
        rig.settle()
        #expect(call.status == .ok)
    }

    private func keys(_ rig: FrontRig) throws -> [String] {
        var request = RangeRequest()
        request.key = [0]
        request.rangeEnd = [0]
        let call = rig.call(.range, request.encoded())
        rig.settle()
        let answer = try RangeAnswer(decoding: try #require(call.messages.first))
        return answer.kvs.map { String(decoding: $0.key.array, as: UTF8.self) }
    }

    @Test("X1: the second waits for the first, and is told when its key is gone")
    func waits() throws {
        let rig = try FrontRig()
        grant(rig, 0x10)
        grant(rig, 0x20)
        let first = rig.call(.lock, lock("a", lease: 0x10))
        rig.settle()
        #expect(first.status == .ok)
        let second = rig.call(.lock, lock("a", lease: 0x20))
        rig.settle()
        #expect(second.isOpen)
        #expect(try keys(rig) == ["a/10", "a/20"])
        #expect(rig.rig.status.counts.watchers.now == 1)

        let unlock = rig.call(.unlock, UnlockRequest(key: "a/10").encoded())
        rig.settle()
        #expect(unlock.status == .ok && second.status == .ok)
        #expect(rig.rig.status.counts.watchers.now == 0)
        #expect(try keys(rig) == ["a/20"])
    }

    @Test("X2: a client that leaves while it waits leaves no key and no watch")
    func leavesWaiting() throws {
        let rig = try FrontRig()
        grant(rig, 0x10)
        grant(rig, 0x20)
        _ = rig.call(.lock, lock("a", lease: 0x10))
        rig.settle()
        let second = rig.call(.lock, lock("a", lease: 0x20))
        rig.settle()
        second.isOpen = false
        rig.front.cancel(holder: second.held)
        rig.settle()
        #expect(try keys(rig) == ["a/10"])
        #expect(rig.rig.status.counts.watchers.now == 0)
        #expect(second.status == nil)
    }

    @Test("X2: one that leaves while its key is being put leaves none either")
    func leavesEntering() throws {
        let rig = try FrontRig()
        grant(rig, 0x10)
        let call = rig.call(.lock, lock("a", lease: 0x10))
        call.isOpen = false
        rig.front.cancel(holder: call.held)
        rig.settle()
        #expect(try keys(rig).isEmpty)
        #expect(call.status == nil)
    }

    @Test("X1, X2: one that leaves takes nothing from the holder of the same lease")
    func leavesHolding() throws {
        let rig = try FrontRig()
        grant(rig, 0x10)
        _ = rig.call(.lock, lock("a", lease: 0x10))
        rig.settle()
        let again = rig.call(.lock, lock("a", lease: 0x10))
        again.isOpen = false
        rig.front.cancel(holder: again.held)
        rig.settle()
        #expect(try keys(rig) == ["a/10"])
    }

    @Test("X2: without a lease there is one of 60 seconds")
    func ownLease() throws {
        let rig = try FrontRig()
        let call = rig.call(.lock, lock("a", lease: 0))
        guard case .leaseGrant(let request)? = rig.loop.submitted.first?.body else {
            Issue.record("no lease was asked for")
            return
        }
        #expect(request == LeaseGrantRequest(ttl: 60, id: 0))
        rig.settle()
        #expect(call.status == .ok)
    }

    @Test("X3: what goes wrong inside is Unknown with the same text")
    func innerErrors() throws {
        let rig = try FrontRig()
        let unknown = rig.call(.lock, lock("a", lease: 99))
        rig.settle()
        #expect(unknown.status == RPCStatus(.unknown, EtcdError.leaseNotFound.rawValue))
        let empty = rig.call(.unlock, UnlockRequest().encoded())
        #expect(empty.status == RPCStatus(.unknown, EtcdError.emptyKey.rawValue))
        rig.loop.isQueueFull = true
        let full = rig.call(.campaign, CampaignRequest(name: "a", lease: 1).encoded())
        rig.settle()
        #expect(full.status == RPCStatus(.unknown, EtcdError.tooManyRequests.rawValue))
    }

    @Test("X4, X5, X7: without the leader's key nothing is proclaimed or given up")
    func leaderField() throws {
        let rig = try FrontRig()
        for (method, message) in [
            (Method.proclaim, ProclaimRequest(value: "v").encoded()),
            (Method.resign, ResignRequest().encoded()),
        ] {
            #expect(rig.call(method, message).status == EtcdError.leaderFieldMissing.status)
        }
        let stale = LeaderKey(name: "a", key: "a/1", revision: 7, lease: 0)
        let proclaim = rig.call(.proclaim, ProclaimRequest(leader: stale, value: "v").encoded())
        rig.settle()
        #expect(proclaim.status == EtcdError.electionNotLeader.status)
    }

    @Test("X6: an observer hears of the first leader and of each change, and leaves no watch")
    func observes() throws {
        let rig = try FrontRig()
        grant(rig, 0x10)
        let observer = rig.call(.observe, LeaderRequest(name: "e").encoded())
        let holder = observer.held
        rig.settle()
        #expect(observer.isOpen && observer.messages.isEmpty)
        _ = rig.call(
            .campaign, CampaignRequest(name: "e", lease: 0x10, value: "one").encoded())
        rig.settle()
        _ = rig.call(
            .campaign, CampaignRequest(name: "e", lease: 0x10, value: "two").encoded())
        rig.settle()
        let values = try observer.messages.map { message in
            try LeaderAnswer(decoding: message).kv.value
        }
        #expect(values == ["one", "two"])
        rig.front.cancel(holder: holder)
        rig.settle()
        #expect(rig.rig.status.counts.watchers.now == 0)
        #expect(rig.rig.status.counts.watchStreams.now == 0)
    }

    @Test("R15: a stream is cut into messages of which only the last has the header")
    func rangeStream() throws {
        let rig = try FrontRig()
        for number in 0..<25 {
            var put = PutRequest()
            put.key = Bytes("k\(number + 10)")
            put.value = Bytes([UInt8](repeating: 1, count: 20_000))
            _ = rig.call(.put, put.encoded())
        }
        rig.settle()
        var request = RangeRequest()
        request.key = "k"
        request.rangeEnd = "l"
        let call = rig.call(.rangeStream, request.encoded())
        rig.settle()
        #expect(call.status == .ok)
        let chunks = try call.messages.map { message in
            var reader = ProtoReader(message)
            let field = try #require(try reader.nextField())
            var range = RangeAnswer()
            try reader.message(field, into: &range)
            return range
        }
        #expect(chunks.count > 3 && chunks[0].kvs.count <= 10)
        #expect(chunks.flatMap(\.kvs).map(\.key) == (10..<35).map { Bytes("k\($0)") })
        for chunk in chunks.dropLast() {
            #expect(chunk.header == ResponseHeader() && chunk.count == 0)
        }
        #expect(chunks.last?.header.revision == 26 && chunks.last?.count == 25)

        request.sortTarget = .mod
        #expect(
            rig.call(.rangeStream, request.encoded()).status
                == EtcdError.rangeStreamSortOrder.status)
        request.sortTarget = .key
        request.minModRevision = 1
        #expect(
            rig.call(.rangeStream, request.encoded()).status == EtcdError.rangeStreamFilter.status)
        request.minModRevision = 0
        request.revision = 99
        let future = rig.call(.rangeStream, request.encoded())
        rig.settle()
        #expect(future.status == EtcdError.futureRevision.status)
    }
}

/// What a test reads of a LeaderResponse.
private struct LeaderAnswer: WireDecodable {
    var kv = WireKeyValue()

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 2: try reader.message(field, into: &kv)
            default: try reader.skip(field)
            }
        }
    }
}
