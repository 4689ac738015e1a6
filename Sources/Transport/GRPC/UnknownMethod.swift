// UnknownMethod.swift: the status for a path that names no method.
// Belongs here: the three texts. Source: the behaviour of grpc-go servers (etcd semantics G16).

enum UnknownMethod {
    /// The status of a call to `path`, given the registered services.
    static func status(path: String, services: Set<String>) -> RPCStatus {
        guard path.first == "/", let slash = path.dropFirst().lastIndex(of: "/") else {
            return RPCStatus(.unimplemented, "malformed method name: \"\(path)\"")
        }
        let service = String(path[path.index(after: path.startIndex)..<slash])
        let method = path[path.index(after: slash)...]
        guard services.contains(service) else {
            return RPCStatus(.unimplemented, "unknown service \(service)")
        }
        return RPCStatus(.unimplemented, "unknown method \(method) for service \(service)")
    }
}
