// RequestHeaders.swift: one block of request headers, as far as anyone will ask for it.
// Belongs here: recognising names by their bytes. Never here: what a bad block is answered with.
// No strings for a proper call of a known method, except metadata values the services read.
// Source: gRPC over HTTP/2, "Requests"; etcd semantics G10, G11.

struct RequestHeaders {
    enum ContentType {
        case absent
        case grpc
        /// Begins with application/grpc but is no gRPC content type.
        case badGRPC
        case other
    }

    /// What a proper call of a known method does not have.
    final class Rare {
        /// The HTTP method when it is not POST.
        var method = ""
        /// The `:path` when it names no method.
        var path = ""
        /// The content type when it is not exactly application/grpc.
        var contentType = ""
        var malformedTimeout: String?
        var unsupportedEncoding: String?
        /// All headers, collected only when the path names no method.
        var all: [(String, String)] = []
    }

    var methodIndex: Int?
    var isPost = false
    var contentType = ContentType.absent
    var timeoutNanoseconds: UInt64?
    var byteCount = 0
    var metadata = CallMetadata()
    private(set) var rareOrNil: Rare?
    private var pseudo = PseudoHeaders()
    private var hasRegular = false
    private var isBroken = false

    /// Whether the block is no HTTP/2 request (RFC 9113 section 8.2 and 8.3).
    var isMalformed: Bool { isBroken || !pseudo.isSuperset(of: .required) }

    private struct PseudoHeaders: OptionSet {
        let rawValue: UInt8
        static let method = PseudoHeaders(rawValue: 1)
        static let path = PseudoHeaders(rawValue: 2)
        static let scheme = PseudoHeaders(rawValue: 4)
        static let authority = PseudoHeaders(rawValue: 8)
        static let required: PseudoHeaders = [.method, .path, .scheme]
    }

    /// What is unusual about the request; made when it is asked for.
    var rare: Rare {
        mutating get {
            if let rareOrNil { return rareOrNil }
            let made = Rare()
            rareOrNil = made
            return made
        }
    }

    mutating func add(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, methods: MethodTable
    ) {
        byteCount += name.count + value.count + 32
        if value.contains(where: { $0 == 0 || $0 == 10 || $0 == 13 }) { isBroken = true }
        if name.first == UInt8(ascii: ":") {
            addPseudo(name, value, methods: methods)
            return
        }
        hasRegular = true
        if name.isEmpty || name.contains(where: { $0 <= 32 || $0 >= 127 || (65...90).contains($0) })
        {
            isBroken = true
        }
        switch name.count {
        case 2 where name.equals("te"): isBroken = isBroken || !value.equals("trailers")
        case 7 where name.equals("upgrade"), 10 where name.equals("connection"),
            10 where name.equals("keep-alive"), 16 where name.equals("proxy-connection"),
            17 where name.equals("transfer-encoding"):
            isBroken = true
        case 5 where name.equals("token"): metadata.token = value.text
        case 9 where name.equals("hasleader"): metadata.hasLeader = value.equals("true")
        case 12 where name.equals("content-type"): addContentType(value)
        case 12 where name.equals("grpc-timeout"):
            timeoutNanoseconds = Timeout.parse(value)
            if timeoutNanoseconds == nil { rare.malformedTimeout = value.text }
        case 13 where name.equals("grpc-encoding"):
            if !value.equals("identity") && !value.isEmpty { rare.unsupportedEncoding = value.text }
        case 13 where name.equals("authorization"): metadata.authorization = value.text
        case 18 where name.equals("client-api-version"):
            metadata.clientAPIVersion = String(validating: value, as: UTF8.self)
            metadata.hasMalformedClientAPIVersion = metadata.clientAPIVersion == nil
        default: break
        }
        if methodIndex == nil { rare.all.append((name.text, value.text)) }
    }

    private mutating func addPseudo(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, methods: MethodTable
    ) {
        guard let kind = pseudoHeader(name), !hasRegular, pseudo.insert(kind).inserted else {
            isBroken = true
            return
        }
        if kind == .path {
            isBroken = isBroken || value.isEmpty
            methodIndex = methods.find(value)
            if methodIndex == nil { rare.path = value.text }
        } else if kind == .method {
            isPost = value.equals("POST")
            if !isPost { rare.method = value.text }
        } else if kind == .authority, methodIndex == nil {
            rare.all.append(("host", value.text))
        }
    }

    private func pseudoHeader(_ name: UnsafeRawBufferPointer) -> PseudoHeaders? {
        if name.equals(":path") { return .path }
        if name.equals(":method") { return .method }
        if name.equals(":scheme") { return .scheme }
        return name.equals(":authority") ? .authority : nil
    }

    private mutating func addContentType(_ value: UnsafeRawBufferPointer) {
        if value.equals("application/grpc") {
            contentType = .grpc
            return
        }
        rare.contentType = value.text
        guard value.begins(with: "application/grpc") else {
            contentType = .other
            return
        }
        let next = value[16]
        let isGRPC = next == UInt8(ascii: "+") || next == UInt8(ascii: ";")
        contentType = isGRPC ? .grpc : .badGRPC
    }
}
