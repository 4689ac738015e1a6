// KVValidationTests.swift: what is refused before a request reaches the store.
// Belongs here: KVValidation.swift alone. Never here: checks against the store (ExecutorTests).
// Source: etcd semantics R1, R2, R12, P4, T4-T7.

import Testing

@testable import Server

@Suite struct KVValidationTests {
    private static func put(_ key: Bytes) -> RequestOp { .put(PutRequest(key: key)) }

    private static func delete(_ key: Bytes, _ end: Bytes = "") -> RequestOp {
        .deleteRange(DeleteRangeRequest(key: key, rangeEnd: end))
    }

    private static let range = RequestOp.range(RangeRequest(key: "r"))

    private static func refusal(_ txn: TxnRequest, max: Int = 128) -> EtcdError? {
        do throws(EtcdError) {
            try txn.validate(operationsMax: max)
            return nil
        } catch {
            return error
        }
    }

    @Test("bounds: one key, up to an end, or everything from a key on")
    func bounds() {
        func keys(_ key: Bytes, _ end: Bytes) -> [Bytes] {
            let bounds = KeyBounds(key: key, rangeEnd: end)
            return (["a", "b", "ba", "c", [0xff]] as [Bytes]).filter { bounds.contains($0) }
        }
        #expect(keys("b", "") == ["b"])
        #expect(keys("b", "c") == ["b", "ba"])
        #expect(keys("b", [0]) == ["b", "ba", "c", [0xff]])
        #expect(keys("b", "b").isEmpty)
        #expect(keys("c", "b").isEmpty)
        #expect(keys([0], [0]).count == 5)
    }

    @Test("single requests: an empty key, contradicting flags and unknown sort options are refused")
    func single() throws {
        #expect(throws: EtcdError.emptyKey) { try RangeRequest().validate() }
        #expect(throws: EtcdError.emptyKey) { try PutRequest().validate() }
        #expect(throws: EtcdError.emptyKey) { try DeleteRangeRequest(rangeEnd: "x").validate() }
        #expect(throws: EtcdError.valueProvided) {
            try PutRequest(key: "k", value: "v", ignoreValue: true).validate()
        }
        #expect(throws: EtcdError.leaseProvided) {
            try PutRequest(key: "k", lease: 1, ignoreLease: true).validate()
        }
        for number in [-1, 3] as [Int32] {
            #expect(throws: EtcdError.invalidSortOption) {
                try RangeRequest(key: "k", sortOrder: .init(rawValue: number)).validate()
            }
        }
        for number in [-1, 5] as [Int32] {
            #expect(throws: EtcdError.invalidSortOption) {
                try RangeRequest(key: "k", sortTarget: .init(rawValue: number)).validate()
            }
        }
        try PutRequest(key: "k", value: "v", lease: 1).validate()
        try PutRequest(key: "k", ignoreValue: true, ignoreLease: true).validate()
        try RangeRequest(key: "k", sortOrder: .descend, sortTarget: .value).validate()
    }

    @Test("txn: a key may be put once in a path, and not put where it is deleted")
    func duplicates() {
        func success(_ operations: RequestOp...) -> EtcdError? {
            Self.refusal(TxnRequest(success: operations))
        }
        #expect(success(Self.put("a"), Self.put("a")) == .duplicateKey)
        #expect(success(Self.put("a"), Self.put("b")) == nil)
        #expect(success(Self.put("a"), Self.delete("a")) == .duplicateKey)
        #expect(success(Self.delete("a", "c"), Self.put("b")) == .duplicateKey)
        #expect(success(Self.delete("a", "c"), Self.put("c")) == nil)
        #expect(success(Self.delete("a", "c"), Self.delete("b", "d")) == nil)
        #expect(success(Self.range, Self.put("r")) == nil)
        // The quirk: an open end is not seen
        #expect(success(Self.delete("a", [0]), Self.put("b")) == nil)
        #expect(success(Self.put("b"), Self.delete([0], [0])) == nil)
        // The two lists are paths of their own
        #expect(Self.refusal(TxnRequest(success: [Self.put("a")], failure: [Self.put("a")])) == nil)
        let both = TxnRequest(failure: [Self.put("a"), Self.put("a")])
        #expect(Self.refusal(both) == .duplicateKey)
    }

    @Test("txn: nested ones count for the path that they are on")
    func nestedDuplicates() {
        func nested(_ success: [RequestOp], _ failure: [RequestOp] = []) -> RequestOp {
            .txn(TxnRequest(success: success, failure: failure))
        }
        func refusal(_ operations: RequestOp...) -> EtcdError? {
            Self.refusal(TxnRequest(success: operations))
        }
        #expect(refusal(nested([Self.put("a")], [Self.put("a")])) == nil)
        #expect(refusal(nested([Self.put("a")]), nested([Self.put("a")])) == .duplicateKey)
        #expect(refusal(nested([Self.put("a")]), nested([], [Self.put("a")])) == .duplicateKey)
        #expect(refusal(nested([Self.put("a")]), Self.put("a")) == .duplicateKey)
        #expect(refusal(nested([Self.delete("a")]), Self.put("a")) == .duplicateKey)
        #expect(refusal(nested([], [nested([Self.put("a")])]), Self.put("a")) == .duplicateKey)
        #expect(refusal(Self.delete("a", "c"), nested([Self.put("b")])) == .duplicateKey)
        #expect(refusal(nested([Self.delete("a")]), nested([Self.delete("a")])) == nil)
    }

    @Test("txn: the number of operations is limited, for nested ones by what the outer leave")
    func operationCount() {
        func txn(_ outer: Int, nested: Int) -> TxnRequest {
            let inner = TxnRequest(success: Array(repeating: Self.range, count: nested))
            return TxnRequest(
                success: Array(repeating: Self.range, count: outer - 1) + [.txn(inner)])
        }
        func flat(_ count: Int) -> [RequestOp] { Array(repeating: Self.range, count: count) }
        #expect(Self.refusal(TxnRequest(success: flat(128), failure: flat(128))) == nil)
        #expect(Self.refusal(TxnRequest(success: flat(129))) == .tooManyOperations)
        #expect(Self.refusal(TxnRequest(failure: flat(129))) == .tooManyOperations)
        let compares = Array(repeating: Compare(key: "c"), count: 129)
        #expect(Self.refusal(TxnRequest(compare: compares)) == .tooManyOperations)
        #expect(Self.refusal(txn(1, nested: 127)) == nil)
        #expect(Self.refusal(txn(1, nested: 128)) == .tooManyOperations)
        #expect(Self.refusal(txn(128, nested: 0)) == nil)
        #expect(Self.refusal(txn(128, nested: 1)) == .tooManyOperations)
    }

    @Test("txn: an operation without a member and a compare without a key are refused")
    func shape() {
        #expect(Self.refusal(TxnRequest(success: [.none])) == .keyNotFound)
        #expect(Self.refusal(TxnRequest(failure: [.none])) == .keyNotFound)
        #expect(Self.refusal(TxnRequest(compare: [Compare()])) == .emptyKey)
        #expect(Self.refusal(TxnRequest(success: [Self.put("")])) == .emptyKey)
        let inner = TxnRequest(compare: [Compare()])
        #expect(Self.refusal(TxnRequest(failure: [.txn(inner)])) == .emptyKey)
        #expect(Self.refusal(TxnRequest()) == nil)
    }

    @Test(
        "txn: it only reads, or is serializable, if all operations of both lists are"
    )
    func kinds() {
        let local = RequestOp.range(RangeRequest(key: "r", serializable: true))
        #expect(TxnRequest().isReadOnly && TxnRequest().isSerializable)
        #expect(TxnRequest(success: [Self.range]).isReadOnly)
        #expect(!TxnRequest(success: [local], failure: [Self.put("a")]).isReadOnly)
        #expect(!TxnRequest(failure: [Self.delete("a")]).isReadOnly)
        #expect(!TxnRequest(success: [.txn(TxnRequest())]).isReadOnly)
        #expect(TxnRequest(success: [local], failure: [local]).isSerializable)
        #expect(!TxnRequest(success: [local], failure: [Self.range]).isSerializable)
    }
}
