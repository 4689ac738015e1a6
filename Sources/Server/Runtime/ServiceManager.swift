// ServiceManager.swift: tells the manager that started the process when it serves and when it stops.
// Belongs here: systemd's notification socket. Never here: when that is (ClientPorts.swift, Process.swift).
// Source: sd_notify(3): one datagram to the socket in NOTIFY_SOCKET; etcd says READY=1, and Debian's unit of
// etcd has Type=notify.

internal import Glibc

enum ServiceManager {
    enum State: String {
        case ready = "READY=1"
        case stopping = "STOPPING=1"
    }

    /// Does nothing where no manager wants to know; one that can't be reached keeps nobody from serving.
    static func tell(_ state: State) {
        guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }),
            let (address, size) = address(path)
        else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(state.rawValue.utf8)
        let flags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT)
        withUnsafePointer(to: address) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, flags, $0, size)
            }
        }
    }

    /// A path, or with a leading @ a name without a file; nil for what is neither.
    private static func address(_ path: String) -> (sockaddr_un, socklen_t)? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        guard let first = name.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
            name.count < MemoryLayout.size(ofValue: address.sun_path)
        else { return nil }
        if first == UInt8(ascii: "@") { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        // A name without a file ends with the address; a path has its zero in it.
        let counted = name.count + (name[0] == 0 ? 0 : 1)
        let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 0
        return (address, socklen_t(start + counted))
    }
}
