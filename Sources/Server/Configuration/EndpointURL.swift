// EndpointURL.swift: the URLs of etcd's flags: where to listen and what to advertise. Belongs here:
// their one grammar and the extra rule for addresses one binds to. Never here: opening sockets.
// Source: etcd 3.5.16, observed: scheme, host:port, no path; a bound host is an address or
// localhost.

/// One URL of a list such as `--listen-client-urls`.
struct EndpointURL: Hashable, Sendable, CustomStringConvertible {
    /// What is spoken there, and over what.
    enum Scheme: String, Sendable, CaseIterable {
        case http, https, unix, unixs

        /// Whether TLS is spoken.
        var isSecure: Bool { self == .https || self == .unixs }
        /// Whether the place is a file of a Unix socket instead of an address and port.
        var isUnix: Bool { self == .unix || self == .unixs }
    }

    let scheme: Scheme
    /// The host without the brackets of IPv6; for a Unix socket the path of its file.
    let host: String
    /// The port; 0 for a Unix socket.
    let port: Int
    /// The URL with its scheme in lower case, as it enters member ids and member lists.
    let description: String

    /// Reads one URL.
    init(_ text: String) throws(ValueProblem) {
        let form = ValueProblem(
            expected: "URLs of the form scheme://host:port (http, https, unix or unixs)")
        guard let colon = text.firstRange(of: "://"),
            let scheme = Scheme(rawValue: text[..<colon.lowerBound].lowercased())
        else { throw form }
        let rest = text[colon.upperBound...]
        self.scheme = scheme
        description = "\(scheme.rawValue)://\(rest)"
        guard !rest.isEmpty, rest.allSatisfy({ $0.isASCII && $0 > " " && $0 != "\u{7F}" }) else {
            throw form
        }
        if scheme.isUnix {
            host = String(rest)
            port = 0
            return
        }
        guard !rest.contains(where: { "/?#@".contains($0) }) else {
            throw ValueProblem(expected: "a URL without a path, query or user name")
        }
        let (parsedHost, parsedPort) = try Self.split(rest, else: form)
        host = parsedHost
        port = parsedPort
    }

    /// "host:port" or "[v6]:port".
    private static func split(
        _ authority: Substring, else form: ValueProblem
    ) throws(ValueProblem) -> (String, Int) {
        guard let colon = authority.lastIndex(of: ":") else { throw form }
        var host = authority[..<colon]
        let digits = authority[authority.index(after: colon)...]
        guard digits.allSatisfy(\.isNumber), let port = UInt16(digits) else {
            throw ValueProblem(expected: "a port between 0 and 65535 after the host")
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard IPAddressText.isV6(host) else { throw form }
        } else if host.contains(":") {
            throw ValueProblem(expected: "an IPv6 address in brackets, as in http://[::1]:2379")
        }
        return (String(host), Int(port))
    }

    /// Whether a listener can bind here without asking a name server.
    var isBindable: Bool {
        scheme.isUnix || host == "localhost" || IPAddressText.isAddress(host)
    }

    /// Reads a comma-separated list without its repetitions; an empty text is an empty list.
    static func list(_ text: String) throws(ValueProblem) -> [EndpointURL] {
        var urls: [EndpointURL] = []
        for piece in text.split(separator: ",", omittingEmptySubsequences: false) {
            let trimmed = piece.drop { $0 == " " }
            if trimmed.isEmpty, text.allSatisfy({ $0 == " " }) { continue }
            let url = try EndpointURL(String(trimmed))
            if !urls.contains(url) { urls.append(url) }
        }
        return urls
    }

    /// Reads a list of places to listen at.
    static func bindList(_ text: String) throws(ValueProblem) -> [EndpointURL] {
        let urls = try list(text)
        guard urls.allSatisfy(\.isBindable) else {
            throw ValueProblem(
                expected: "an IP address or localhost as host (0.0.0.0 stands for all addresses)")
        }
        return urls
    }

    /// Reads a list of URLs that others connect to.
    static func advertisedList(_ text: String) throws(ValueProblem) -> [EndpointURL] {
        let urls = try list(text)
        guard urls.allSatisfy({ !$0.host.isEmpty }) else {
            throw ValueProblem(expected: "a host in each URL, as others cannot connect to none")
        }
        return urls
    }
}

/// Recognises the text of IP addresses.
enum IPAddressText {
    /// Whether the text is an IPv4 or IPv6 address.
    static func isAddress(_ text: some StringProtocol) -> Bool { isV4(text) || isV6(text) }

    /// Four decimal numbers without leading zeros.
    static func isV4(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard let number = UInt8(part) else { return false }
                return "\(number)" == part
            }
    }

    /// Groups of up to four hexadecimal digits, at most one "::", perhaps an IPv4 tail and a zone.
    static func isV6(_ text: some StringProtocol) -> Bool {
        let address = text.prefix { $0 != "%" }
        guard address.contains(":"), address.count == text.count || !text.hasSuffix("%") else {
            return false
        }
        let halves = String(address).splitOnce(at: "::")
        guard let head = groupCount(halves.0, mayEndInV4: halves.1 == nil) else { return false }
        guard let tailText = halves.1 else { return head == 8 }
        guard let tail = groupCount(tailText, mayEndInV4: true) else { return false }
        return head + tail <= 7
    }

    /// How many 16-bit groups the text holds; nil when one of them is none.
    private static func groupCount(_ text: String, mayEndInV4: Bool) -> Int? {
        guard !text.isEmpty else { return 0 }
        let groups = text.split(separator: ":", omittingEmptySubsequences: false)
        var count = 0
        for (place, group) in groups.enumerated() {
            if mayEndInV4, place == groups.count - 1, isV4(group) {
                count += 2
                continue
            }
            guard (1...4).contains(group.count), group.allSatisfy(\.isHexDigit) else { return nil }
            count += 1
        }
        return count
    }
}

extension String {
    /// What stands before and after the first occurrence of a separator.
    func splitOnce(at separator: String) -> (String, String?) {
        guard let range = firstRange(of: separator) else { return (self, nil) }
        return (String(self[..<range.lowerBound]), String(self[range.upperBound...]))
    }
}
