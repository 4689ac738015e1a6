// JSONReadingTests.swift: bodies in JSON as the gateway reads them: grammar, numbers, base64, bounds.
// Source: RFC 8259; protobuf's JSON mapping; etcd's gateway rules, observed on 3.5.16.

import Testing

@testable import Server

@Suite("JSON reading")
struct JSONReadingTests {
    private static let range = DescriptorTable.etcd.message("RangeRequest")
    private static let txn = DescriptorTable.etcd.message("TxnRequest")

    private func read(_ text: String) throws(JSONError) -> RangeRequest {
        let bytes = try MessageFromJSON.single(Array(text.utf8), Self.range)
        do throws(WireError) {
            return try RangeRequest(decoding: bytes)
        } catch {
            Issue.record("\(text) became \(bytes), which is no message: \(error)")
            return RangeRequest()
        }
    }

    @Test("both names of a field, numbers as such and as text, enums by name and by number")
    func forms() throws {
        let request = try read(
            """
            { "key" : "Zm9v", "rangeEnd":"Zm9w","limit":"10","revision": 7,
              "sort_order":"DESCEND", "sortTarget": 3, "serializable": true,
              "keys_only":false, "min_mod_revision":"-1","maxModRevision":9223372036854775807 }
            """)

        #expect(request.key == "foo" && request.rangeEnd == "fop")
        #expect(request.limit == 10 && request.revision == 7)
        #expect(request.sortOrder == .descend && request.sortTarget == .mod)
        #expect(request.serializable && !request.keysOnly)
        #expect(request.minModRevision == -1 && request.maxModRevision == .max)
    }

    @Test("an empty body, white space and null are nothing at all")
    func empty() throws {
        for text in ["", " \n\t\r", "{}", #"{"key":null,"limit":null,"sort_order":null}"#] {
            #expect(try read(text) == RangeRequest())
        }
    }

    @Test("fields that are not known are passed over, whatever they hold")
    func unknownFields() throws {
        let request = try read(
            #"{"a":{"b":[1,-2.5e-3,"x\"]",{},[],[[{"c":null}]],true]},"key":"YQ==","z":"","y":[]}"#)
        #expect(request.key == "a")
    }

    @Test(
        "what is no JSON, or no request, is refused",
        arguments: [
            "{", "}", "[]", "null", "1", #""x""#, "{]", "{,}", #"{"key"}"#, #"{"key":}"#,
            #"{"key":"YQ==",}"#, #"{"key":"YQ=="} x"#, #"{"key":"YQ=="}{}"#, "{key:1}",
            #"{'key':'YQ=='}"#, #"{"key":"YQ==" "limit":1}"#, #"{"key":"YQ==","key":"YQ=="}"#,
            #"{"range_end":"YQ==","rangeEnd":"YQ=="}"#, #"{"limit":01}"#, #"{"limit":+1}"#,
            #"{"limit":1.}"#, #"{"limit":.5}"#, #"{"limit":1e}"#, #"{"limit":--1}"#,
            #"{"limit":1.5}"#, #"{"limit":"1.5"}"#, #"{"limit":""}"#, #"{"limit":" 1"}"#,
            #"{"limit":"0x10"}"#, #"{"limit":true}"#, #"{"limit":[1]}"#, #"{"limit":{}}"#,
            #"{"limit":9223372036854775808}"#, #"{"limit":-9223372036854775809}"#,
            #"{"limit":1e400}"#, #"{"limit":NaN}"#, #"{"limit":Infinity}"#,
            #"{"serializable":1}"#, #"{"serializable":"true"}"#, #"{"serializable":tru}"#,
            #"{"key":5}"#, #"{"key":"Z!9v"}"#, #"{"key":"Zm 9v"}"#, #"{"key":"YQ="}"#,
            #"{"key":"Y"}"#, #"{"key":"===="}"#, #"{"key":"YQ==YQ=="}"#, #"{"key":["YQ=="]}"#,
            #"{"sort_order":"NOPE"}"#, #"{"sort_order":1.5}"#, #"{"sort_order":"1"}"#,
            #"{"sort_order":2147483648}"#, #"{"sort_order":{}}"#, "{\"key\":\"YQ==\u{1}\"}",
            #"{"\ud800":1}"#, #"{"\udc00":1}"#, #"{"\ud800\u0041":1}"#, #"{"\x":1}"#,
            #"{"\u12":1}"#, #"{"a":"\"#, #"{"a":[1,]}"#, #"{"a":{"b":1,}}"#, #"{"a":[1 2]}"#,
            #"{"a":nul}"#, #"{"a":"#, "/* c */{}", "{}//",
        ])
    func refused(text: String) {
        #expect(throws: JSONError.self) { try read(text) }
    }

    @Test("bytes that are not UTF-8 are refused in names and texts")
    func badText() {
        let user = DescriptorTable.etcd.message("AuthUserAddRequest")
        for bytes: [UInt8] in [
            [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80],
        ] {
            let name = Array(#"{""#.utf8) + bytes + Array(#"":1}"#.utf8)
            let value = Array(#"{"name":""#.utf8) + bytes + Array(#""}"#.utf8)
            #expect(throws: JSONError.self) { try MessageFromJSON.single(name, user) }
            #expect(throws: JSONError.self) { try MessageFromJSON.single(value, user) }
        }
    }

    @Test("escapes in texts")
    func escapes() throws {
        let text = #"{"name":"\"\\\/\b\f\n\r\t\u00e4\u20ac\ud83d\ude00"}"#
        let bytes = try MessageFromJSON.single(
            Array(text.utf8), DescriptorTable.etcd.message("AuthUserGetRequest"))
        var reader = ProtoReader(bytes)
        let field = try #require(try reader.nextField())
        #expect(try reader.string(field) == "\"\\/\u{8}\u{c}\n\r\t\u{e4}\u{20ac}\u{1f600}")
    }

    @Test("integers may be written with a point or an exponent if they are whole")
    func wholeNumbers() throws {
        let texts: [(String, Int64)] = [
            ("1.0", 1), ("1e1", 10), ("1E+2", 100), ("120e-1", 12), ("-0", 0), ("-0.0", 0),
            ("0e9999", 0), ("0.5e1", 5), ("9.223372036854775807e18", .max),
            ("-9223372036854775808", .min),
        ]
        for (text, number) in texts {
            #expect(try read(#"{"limit":\#(text)}"#).limit == number)
            #expect(try read(#"{"limit":"\#(text)"}"#).limit == number)
        }
    }

    @Test("both alphabets of base64, with and without padding")
    func base64() throws {
        for (text, bytes): (String, [UInt8]) in [
            ("", []), ("YQ==", [97]), ("YQ", [97]), ("YWI=", [97, 98]), ("YWI", [97, 98]),
            ("YWJj", [97, 98, 99]), ("-_8", [0xfb, 0xff]), ("+/8=", [0xfb, 0xff]),
            ("YW\\nJj\\r", [97, 98, 99]),
        ] {
            #expect(try read(#"{"key":"\#(text)"}"#).key == Bytes(bytes))
        }
    }

    @Test("base64: every length comes back, and equals what is known")
    func base64RoundTrip() {
        var random = WireRandom(seed: 64)
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            var text: [UInt8] = []
            bytes.withUnsafeBytes { Base64.encode($0, into: &text) }
            #expect(text.count == (count + 2) / 3 * 4)
            #expect(Base64.decode(text) == bytes)
        }
    }

    @Test("of a choice only one may be set")
    func oneof() {
        let text = #"{"success":[{"request_range":{"key":"YQ=="},"request_put":{"key":"YQ=="}}]}"#
        #expect(throws: JSONError.self) { try MessageFromJSON.single(Array(text.utf8), Self.txn) }
        let list = #"{"success":[null]}"#
        #expect(throws: JSONError.self) { try MessageFromJSON.single(Array(list.utf8), Self.txn) }
    }

    @Test("transactions may be nested as deep as over gRPC, and no deeper")
    func depth() throws {
        func nested(_ levels: Int) -> [UInt8] {
            let open = #"{"success":[{"request_txn":"#
            return Array(
                (String(repeating: open, count: levels) + "{}"
                    + String(repeating: "}]}", count: levels)).utf8)
        }
        let deepest = WireLimits.messageDepthMax / 2
        let bytes = try MessageFromJSON.single(nested(deepest), Self.txn)
        _ = try TxnRequest(decoding: bytes)
        #expect(throws: JSONError.self) {
            try MessageFromJSON.single(nested(deepest + 1), Self.txn)
        }
        #expect(throws: JSONError.self) {
            try MessageFromJSON.single(nested(100_000), Self.txn)
        }
        // What is passed over is bounded too.
        let unknown = #"{"x":"# + String(repeating: "[", count: 100_000)
        #expect(throws: JSONError.self) {
            try MessageFromJSON.single(Array(unknown.utf8), Self.txn)
        }
    }

    @Test("a message may not hold more messages than over gRPC")
    func items() throws {
        func list(_ count: Int) -> [UInt8] {
            Array(
                (#"{"compare":["# + Array(repeating: "{}", count: count).joined(separator: ",")
                    + "]}").utf8)
        }
        let most = try MessageFromJSON.single(list(WireLimits.repeatedMessagesMax), Self.txn)
        #expect(try TxnRequest(decoding: most).compare.count == WireLimits.repeatedMessagesMax)
        #expect(throws: JSONError.tooManyItems) {
            try MessageFromJSON.single(list(WireLimits.repeatedMessagesMax + 1), Self.txn)
        }
    }

    @Test("a body of several messages gives one after the other")
    func several() throws {
        let text = #" {"ID":1} {"ID":"2"}{"ID":3"#
        var source = MessageFromJSON(Array(text.utf8))
        let message = DescriptorTable.etcd.message("LeaseKeepAliveRequest")
        for id: Int64 in [1, 2] {
            let bytes = try #require(try source.next(message))
            #expect(try LeaseKeepAliveRequest(decoding: bytes).id == id)
        }
        #expect(throws: JSONError.truncated) { try source.next(message) }
    }
}
