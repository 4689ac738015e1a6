// MetricsTests.swift: what a scrape of /metrics returns.
// Source of the expectations: /metrics of etcd 3.5.16 and Prometheus's text format 0.0.4.

import Dispatch
import Testing

@testable import Server

@Suite struct MetricsTests {
    private let identity = MetricIdentity(
        memberID: 0x8e9e_05c5_2164_694d, serverVersion: "3.5.16", clusterVersion: "3.5")

    private func make(_ level: MetricsLevel = .basic) -> Metrics {
        Metrics(identity: identity, methods: MetricMethod.standard, level: level)
    }

    private func lines(_ metrics: Metrics) -> [String] {
        String(decoding: metrics.exposition(), as: UTF8.self).split(separator: "\n").map(
            String.init)
    }

    @Test("scrape: every line is a comment or a name, labels and a number; families are sorted")
    func format() throws {
        let pattern = try Regex(
            #"[a-z_]+(\{[a-z_]+="[^"\\\n]*"(,[a-z_]+="[^"\\\n]*")*\})? (\+Inf|-?[0-9.]+(e[-+]?[0-9]+)?)"#
        )
        var families: [String] = []
        for line in lines(make(.extensive)) {
            if line.hasPrefix("# TYPE ") {
                families.append(String(line.split(separator: " ")[2]))
            } else if !line.hasPrefix("# HELP ") {
                #expect(line.wholeMatch(of: pattern) != nil, "\(line)")
            }
        }
        #expect(families == families.sorted())
        #expect(Set(families).count == families.count)
    }

    @Test(
        "scrape: what the alert rules and the dashboard read is there",
        arguments: [
            "etcd_server_has_leader 0", "etcd_server_leader_changes_seen_total 0",
            "etcd_server_proposals_failed_total 0", "etcd_server_proposals_pending 0",
            "etcd_server_proposals_committed_total 0", "etcd_server_proposals_applied_total 0",
            "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 0",
            "etcd_disk_backend_commit_duration_seconds_bucket{le=\"8.192\"} 0",
            "etcd_mvcc_db_total_size_in_bytes 0", "etcd_mvcc_db_total_size_in_use_in_bytes 0",
            "etcd_server_quota_backend_bytes 0", "etcd_network_client_grpc_sent_bytes_total 0",
            "etcd_network_client_grpc_received_bytes_total 0",
            "etcd_server_id{server_id=\"8e9e05c52164694d\"} 1",
            "etcd_server_version{server_version=\"3.5.16\"} 1",
            "etcd_cluster_version{cluster_version=\"3.5\"} 1",
            "etcd_debugging_lease_ttl_total_bucket{le=\"8388608\"} 0",
        ])
    func wellKnown(line: String) {
        #expect(lines(make()).contains(line))
    }

    @Test("scrape: types are etcd's, also where a gauge is named total")
    func types() {
        let all = lines(make())
        for type in [
            "etcd_server_proposals_committed_total gauge", "etcd_disk_wal_write_bytes_total gauge",
            "etcd_mvcc_put_total counter", "grpc_server_handled_total counter",
            "process_cpu_seconds_total counter", "process_resident_memory_bytes gauge",
            "etcd_disk_wal_fsync_duration_seconds histogram",
        ] {
            #expect(all.contains("# TYPE \(type)"), "\(type)")
        }
    }

    @Test("gRPC: all methods times all codes exist with 0 from the start")
    func zeroSeries() {
        let all = lines(make())
        #expect(MetricMethod.standard.count == 43)
        #expect(all.filter { $0.hasPrefix("grpc_server_handled_total{") }.count == 43 * 17)
        #expect(all.filter { $0.hasPrefix("grpc_server_started_total{") }.count == 43)
        #expect(
            all.contains(
                #"grpc_server_handled_total{grpc_code="OK",grpc_method="Range","#
                    + #"grpc_service="etcdserverpb.KV",grpc_type="unary"} 0"#
            ))
        #expect(
            all.contains(
                #"grpc_server_started_total{grpc_method="Watch","#
                    + #"grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 0"#
            ))
        #expect(!all.contains { $0.hasPrefix("grpc_server_handling_seconds") })
    }

    @Test("gRPC: calls are counted by method and code, unknown codes as Unknown")
    func calls() throws {
        let metrics = make(.extensive)
        let put = try #require(metrics.method(path: "/etcdserverpb.KV/Put"))
        #expect(metrics.methods[1] === put)
        put.started.increment()
        put.finished(code: 0)
        put.finished(code: 8)
        put.finished(code: 99)
        put.handlingSeconds?.observe(nanoseconds: 7_000_000)
        let all = lines(metrics)
        let labels = #"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary""#
        #expect(all.contains("grpc_server_started_total{\(labels)} 1"))
        for code in ["OK", "ResourceExhausted", "Unknown"] {
            #expect(all.contains("grpc_server_handled_total{grpc_code=\"\(code)\",\(labels)} 1"))
        }
        #expect(all.contains("grpc_server_handling_seconds_bucket{\(labels),le=\"0.005\"} 0"))
        #expect(all.contains("grpc_server_handling_seconds_bucket{\(labels),le=\"0.01\"} 1"))
        #expect(all.contains("grpc_server_handling_seconds_sum{\(labels)} 0.007"))
        #expect(all.contains("grpc_server_msg_received_total{\(labels)} 1"))
        #expect(all.contains("grpc_server_msg_sent_total{\(labels)} 1"))
        #expect(metrics.method(path: "/none/None") == nil)
    }

    @Test("gRPC: served methods keep their places, others follow once")
    func completing() {
        let served = ["/etcdserverpb.KV/RangeStream", "/etcdserverpb.KV/Put"].map {
            MetricMethod(path: $0, kind: .unary)
        }
        let all = MetricMethod.completing(served)
        #expect(all.prefix(2).map(\.method) == ["RangeStream", "Put"])
        #expect(all.count == 44)
        #expect(Set(all.map(\.path)).count == 44)
    }

    @Test("gRPC: streams count their messages one by one")
    func streams() throws {
        let metrics = make()
        let watch = try #require(metrics.method(path: "/etcdserverpb.Watch/Watch"))
        watch.started.increment()
        watch.streamReceived.increment(by: 2)
        watch.streamSent.increment(by: 7)
        let labels =
            #"grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream""#
        let all = lines(metrics)
        #expect(all.contains("grpc_server_msg_received_total{\(labels)} 2"))
        #expect(all.contains("grpc_server_msg_sent_total{\(labels)} 7"))
    }

    @Test("histogram: a value on a bound falls below it, one beyond all bounds into +Inf")
    func histogramBounds() {
        let histogram = Histogram(.doubling(from: 0.001, count: 3), unit: .seconds)
        for nanoseconds in [0, 1_000_000, 1_000_001, 4_000_000, 4_000_001] as [UInt64] {
            histogram.observe(nanoseconds: nanoseconds)
        }
        let snapshot = histogram.snapshot()
        #expect(snapshot.cumulative == [2, 3, 4, 5])
        #expect(snapshot.sum == 0.010000002)
    }

    @Test("histogram: milliseconds and plain numbers show their own unit")
    func histogramUnits() {
        let milliseconds = Histogram(.doubling(from: 1, count: 2), unit: .milliseconds)
        milliseconds.observe(nanoseconds: 1_500_000)
        #expect(milliseconds.snapshot() == .init(cumulative: [0, 1, 1], sum: 1.5))
        let plain = Histogram(.doubling(from: 1, count: 24), unit: .plain)
        plain.observe(60)
        #expect(plain.snapshot().cumulative[5] == 0)
        #expect(plain.snapshot().cumulative[6] == 1)
        #expect(plain.snapshot().sum == 60)
    }

    @Test("histogram: those with labels appear with their first use")
    func applyHistogram() {
        let metrics = make()
        #expect(!lines(metrics).contains { $0.hasPrefix("etcd_server_apply_duration_seconds") })
        metrics.server.applySeconds(.txn, success: true).observe(nanoseconds: 50_000)
        metrics.server.applySeconds(.put, success: false).observe(nanoseconds: 1)
        let own = lines(metrics).filter { $0.hasPrefix("etcd_server_apply_duration_seconds_count") }
        #expect(
            own == [
                #"etcd_server_apply_duration_seconds_count{op="Put",success="false",version="v3"} 1"#,
                #"etcd_server_apply_duration_seconds_count{op="Txn",success="true",version="v3"} 1"#,
            ])
    }

    @Test("gauges and counters: set, moved, bound to a part that counts on its own")
    func bound() {
        let metrics = make()
        metrics.mvcc.watchers.add(3)
        metrics.mvcc.watchers.add(-1)
        metrics.server.hasLeader.set(1)
        metrics.mvcc.dbTotalBytes.bind { 20480 }
        metrics.network.sentBytes.increment(by: 5)
        metrics.network.sentBytes.bind { 100 }
        let all = lines(metrics)
        #expect(all.contains("etcd_debugging_mvcc_watcher_total 2"))
        #expect(all.contains("etcd_server_has_leader 1"))
        #expect(all.contains("etcd_mvcc_db_total_size_in_bytes 20480"))
        #expect(all.contains("etcd_network_client_grpc_sent_bytes_total 105"))
    }

    @Test("counters: no increment of several threads is lost")
    func threads() {
        let metrics = make()
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for _ in 0..<1000 {
                metrics.mvcc.puts.increment()
                metrics.disk.walFsyncSeconds.observe(nanoseconds: 10)
            }
        }
        #expect(metrics.mvcc.puts.value == 4000)
        #expect(metrics.disk.walFsyncSeconds.snapshot().cumulative.last == 4000)
    }

    @Test("labels: quotes, backslashes and newlines are escaped")
    func escaping() {
        #expect(MetricLabels([("a", "x\"\\\ny")]).text == #"a="x\"\\\ny""#)
    }

    @Test(
        "numbers: whole ones without a point, others as Prometheus reads them",
        arguments: [
            (0, "0"), (2_147_483_648, "2147483648"), (0.001, "0.001"), (-1, "-1"),
            (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (5e-05, "5e-05"),
        ] as [(Double, String)])
    func numbers(value: Double, text: String) {
        #expect(MetricFamily.number(value) == text)
    }

    @Test("process: the kernel's files are read, with names that hold brackets and spaces")
    func processFiles() {
        var statistics = ProcessStatistics()
        let fields = (3...52).map { "\($0)" }.joined(separator: " ")
        statistics.parse(stat: "1 (a) b (c) \(fields)", bootTime: "cpu 1\nbtime 1000\n")
        #expect(statistics.cpuSeconds == 0.29)
        #expect(statistics.virtualBytes == 23)
        #expect(statistics.startSecondsSince1970 == 1000.22)
        statistics.parse(
            network: "h|h\n h\n  lo: 10 0 0 0 0 0 0 0 20 0\n eth0: 1 0 0 0 0 0 0 0 2 0\n")
        #expect(statistics.receivedBytes == 11)
        #expect(statistics.sentBytes == 22)
        var broken = ProcessStatistics()
        broken.parse(stat: "1 (x", bootTime: "")
        broken.parse(stat: "1 (x) S 1", bootTime: "")
        #expect(broken == ProcessStatistics())
    }

    @Test("process: this process's own figures are plausible")
    func ownProcess() {
        let statistics = ProcessStatistics.read()
        #expect(statistics.residentBytes > 1_048_576)
        #expect(statistics.openFiles >= 3)
        #expect(statistics.maxFiles >= statistics.openFiles)
        #expect(statistics.startSecondsSince1970 > 1_600_000_000)
    }

    @Test("members: their series come and go with them, labelled by id in hexadecimal")
    func peers() {
        let metrics = make()
        #expect(!lines(metrics).contains { $0.hasPrefix("etcd_network_peer_sent_bytes_total{") })
        metrics.peers.update([0xab, 0x1])
        metrics.peers.counts(of: 0xab).sentBytes.increment(by: 7)
        metrics.peers.counts(of: 0xab).roundTripSeconds.observe(nanoseconds: 150_000)
        metrics.peers.counts(of: 0x1).snapshotsSent.began()
        metrics.peers.counts(of: 0x1).snapshotsSent.ended(isComplete: true, nanoseconds: 1)
        let shown = lines(metrics)
        for line in [
            "etcd_network_peer_sent_bytes_total{To=\"ab\"} 7",
            "etcd_network_peer_sent_bytes_total{To=\"1\"} 0",
            "etcd_network_peer_round_trip_time_seconds_bucket{To=\"ab\",le=\"0.0001\"} 0",
            "etcd_network_peer_round_trip_time_seconds_bucket{To=\"ab\",le=\"0.0002\"} 1",
            "etcd_network_known_peers{Local=\"8e9e05c52164694d\",Remote=\"1\"} 1",
            "etcd_network_snapshot_send_success{To=\"1\"} 1",
            "etcd_network_snapshot_send_inflights_total{To=\"1\"} 0",
        ] {
            #expect(shown.contains(line), "\(line)")
        }
        metrics.peers.update([0xab])
        #expect(!lines(metrics).contains { $0.contains("To=\"1\"") })
    }

    @Test("labels that clients choose: beyond a bound they share one series")
    func labelled() {
        let counter = LabelledCounter(["version"])
        for number in 0..<200 { counter.counter(["v\(number)"]).increment() }
        #expect(counter.series.count == LabelledCounter.seriesMax + 1)
        let other = counter.series.first { $0.labels.text == "version=\"other\"" }
        guard case .counter(let shared)? = other?.source else {
            Issue.record("no series for the others")
            return
        }
        #expect(shared.value == UInt64(200 - LabelledCounter.seriesMax))
    }
}
