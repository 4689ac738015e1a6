// swift-tools-version: 6.2
import PackageDescription

// Fuzzing has a package of its own: its sanitizer flags are "unsafe" to SwiftPM and must not reach the server. The
// modules under test are compiled here again, by symbolic links, with coverage for libFuzzer.
let fuzzed: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .unsafeFlags(["-sanitize=fuzzer", "-enable-testing"]),
]

func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: ["FuzzDriver"] + dependencies, swiftSettings: fuzzed,
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])])
}

let package = Package(
    name: "martlet-fuzz",
    dependencies: [
        // What the modules under test use; the reasons are in the server's own package.
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3"),
        .systemLibrary(name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "openssl"),
        .systemLibrary(name: "CLZ4", path: "Sources/CLZ4", pkgConfig: "liblz4"),
        .systemLibrary(name: "CNGHTTP2", path: "Sources/CNGHTTP2", pkgConfig: "libnghttp2"),
        .systemLibrary(name: "CCrypt", path: "Sources/CCrypt", pkgConfig: "libcrypt"),
        .systemLibrary(name: "CChecksum", path: "Sources/CChecksum"),
        .systemLibrary(name: "CMalloc", path: "Sources/CMalloc"),
        .target(name: "Raft", swiftSettings: fuzzed),
        .target(
            name: "Storage",
            dependencies: ["CSQLite", "CLZ4", "CChecksum"], swiftSettings: fuzzed),
        .target(
            name: "Transport",
            dependencies: [
                "COpenSSL", "CNGHTTP2", "CChecksum",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ], swiftSettings: fuzzed),
        .target(
            name: "Server",
            dependencies: [
                "Raft", "Storage", "Transport", "CChecksum", "CMalloc", "COpenSSL", "CCrypt",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Yams", package: "Yams"),
            ], exclude: ["Main"], swiftSettings: fuzzed),
        .target(name: "EtcdResponses", dependencies: ["Server"], swiftSettings: fuzzed),
        .target(name: "TestSupport", dependencies: ["Storage"], swiftSettings: fuzzed),
        .target(name: "FuzzDriver", swiftSettings: fuzzed),
        fuzzer("FuzzBolt", ["Server"]),
        fuzzer("FuzzWire", ["Server"]),
        fuzzer("FuzzJSON", ["Server"]),
        fuzzer(
            "FuzzTransport",
            [
                "Transport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ]),
        fuzzer(
            "FuzzAccess",
            ["Raft", "Storage", "Transport", "Server", "EtcdResponses", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6]
)
