// ProcessStatistics.swift: what the kernel says of this process, for the process_* and os_*
// metrics. Belongs here: reading /proc. Never here: deciding by it. Source: proc(5). A file that
// cannot be read gives zeros: a scrape must not fail for it.

import Glibc

/// One reading of the process's figures.
struct ProcessStatistics: Equatable {
    var cpuSeconds = 0.0
    var residentBytes = 0.0
    var virtualBytes = 0.0
    var startSecondsSince1970 = 0.0
    var openFiles = 0.0
    var maxFiles = 0.0
    var maxVirtualBytes = 0.0
    var receivedBytes = 0.0
    var sentBytes = 0.0

    /// Reads them all.
    static func read() -> ProcessStatistics {
        var statistics = ProcessStatistics()
        statistics.parse(stat: text(of: "/proc/self/stat"), bootTime: text(of: "/proc/stat"))
        statistics.parse(network: text(of: "/proc/self/net/dev"))
        statistics.openFiles = countOpenFiles()
        statistics.maxFiles = limit(RLIMIT_NOFILE)
        statistics.maxVirtualBytes = limit(RLIMIT_AS)
        return statistics
    }

    /// Takes over the fields of `/proc/self/stat`; the name in brackets may hold spaces and
    /// brackets.
    mutating func parse(stat: String, bootTime: String) {
        guard let bracket = stat.lastIndex(of: ")") else { return }
        let fields = stat[stat.index(after: bracket)...].split(separator: " ").map {
            Double($0) ?? 0
        }
        // After the name comes field 3 of proc(5): utime is 14, stime 15, starttime 22, vsize 23,
        // rss 24.
        guard fields.count > 21 else { return }
        let ticksPerSecond = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        cpuSeconds = (fields[11] + fields[12]) / ticksPerSecond
        virtualBytes = fields[20]
        residentBytes = fields[21] * Double(sysconf(Int32(_SC_PAGESIZE)))
        for line in bootTime.split(separator: "\n") where line.hasPrefix("btime ") {
            startSecondsSince1970 = (Double(line.dropFirst(6)) ?? 0) + fields[19] / ticksPerSecond
        }
    }

    /// Sums the interfaces of `/proc/self/net/dev`.
    mutating func parse(network: String) {
        for line in network.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let fields = line[line.index(after: colon)...].split(separator: " ")
            guard fields.count > 8 else { continue }
            receivedBytes += Double(fields[0]) ?? 0
            sentBytes += Double(fields[8]) ?? 0
        }
    }

    private static func text(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < 1 << 20 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func countOpenFiles() -> Double {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0.0
        while readdir(directory) != nil { count += 1 }
        // Not among the open files are ".", ".." and the descriptor that reads the directory.
        return max(0, count - 3)
    }

    private static func limit(_ resource: __rlimit_resource) -> Double {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else { return 0 }
        return Double(limit.rlim_cur)
    }
}

extension MetricRegistry {
    /// Adds the process_* and os_* families; all of a scrape's figures come from one reading.
    mutating func process(_ statistics: @escaping @Sendable () -> ProcessStatistics) {
        typealias Row = (
            name: String, kind: MetricFamily.Kind, help: String,
            field: @Sendable (ProcessStatistics) -> Double
        )
        let rows: [Row] = [
            ("process_cpu_seconds_total", .counter, "CPU time used.", { $0.cpuSeconds }),
            ("process_max_fds", .gauge, "Most files the process may open.", { $0.maxFiles }),
            ("process_open_fds", .gauge, "Files the process has open.", { $0.openFiles }),
            ("process_resident_memory_bytes", .gauge, "Memory in use.", { $0.residentBytes }),
            (
                "process_start_time_seconds", .gauge, "Start of the process.",
                { $0.startSecondsSince1970 }
            ),
            ("process_virtual_memory_bytes", .gauge, "Address space in use.", { $0.virtualBytes }),
            (
                "process_virtual_memory_max_bytes", .gauge, "Most address space.",
                { $0.maxVirtualBytes }
            ),
            (
                "process_network_receive_bytes_total", .counter, "Bytes the host received.",
                { $0.receivedBytes }
            ),
            (
                "process_network_transmit_bytes_total", .counter, "Bytes the host sent.",
                { $0.sentBytes }
            ),
            ("os_fd_limit", .gauge, "Most files the process may open.", { $0.maxFiles }),
            ("os_fd_used", .gauge, "Files the process has open.", { $0.openFiles }),
        ]
        for row in rows {
            let read: @Sendable () -> Double = { row.field(statistics()) }
            add(
                MetricFamily(
                    name: row.name, help: row.help, kind: row.kind,
                    series: [(.none, .computed(read))]))
        }
    }
}
