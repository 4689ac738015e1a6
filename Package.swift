// swift-tools-version: 6.2
import PackageDescription

// One list for every target: warnings are errors, and what a file imports it names itself.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .library(name: "Raft", targets: ["Raft"]),
    ],
    dependencies: [
        // Event loops and TCP channels under HTTP/2, TLS and the peer connections; HTTP/1.1's grammar and
        // WebSocket's frames.
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        // Structured logs with the levels operators know.
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        // --config-file is YAML, as etcd's is.
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CLZ4", path: "Sources/CLZ4", pkgConfig: "liblz4",
            providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CNGHTTP2", path: "Sources/CNGHTTP2", pkgConfig: "libnghttp2",
            providers: [.apt(["libnghttp2-dev"])]),
        // bcrypt, so that an etcd database keeps its passwords. libxcrypt's header comes with every compiler: libc6-dev
        // depends on libcrypt-dev.
        .systemLibrary(
            name: "CCrypt", path: "Sources/CCrypt", pkgConfig: "libcrypt",
            providers: [.apt(["libcrypt-dev"])]),
        .systemLibrary(name: "CChecksum", path: "Sources/CChecksum"),
        .systemLibrary(name: "CMalloc", path: "Sources/CMalloc"),
        .target(name: "Raft", path: "Sources/Raft", swiftSettings: strict),
        .target(
            name: "Storage",
            dependencies: ["CSQLite", "CLZ4", "CChecksum"],
            path: "Sources/Storage", swiftSettings: strict),
        .target(
            name: "Transport",
            dependencies: [
                "COpenSSL", "CNGHTTP2", "CChecksum",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ],
            path: "Sources/Transport", swiftSettings: strict),
        .target(
            name: "Server",
            dependencies: [
                "Raft", "Storage", "Transport", "CChecksum", "CMalloc", "COpenSSL", "CCrypt",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Yams", package: "Yams"),
            ],
            path: "Sources/Server", exclude: ["Main"], swiftSettings: strict),
        .executableTarget(
            name: "martlet", dependencies: ["Server"], path: "Sources/Server/Main",
            swiftSettings: strict),
        // Answers as clients read them, for the simulator and for tests. Like the simulator it is built
        // with testing enabled, for it uses the server's inner parts: see the Makefile.
        .target(
            name: "EtcdResponses", dependencies: ["Server"], path: "Simulation/Responses",
            swiftSettings: strict),
        .target(
            name: "Simulation",
            dependencies: ["Raft", "Storage", "Transport", "Server", "EtcdResponses"],
            path: "Simulation", exclude: ["Responses", "Run", "Scenarios"], swiftSettings: strict),
        .executableTarget(
            name: "martlet-sim", dependencies: ["Simulation"], path: "Simulation/Run",
            swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["Storage"], path: "Tests/Support",
            swiftSettings: strict),
        .testTarget(
            name: "RaftTests", dependencies: ["Raft"], exclude: ["Golden"], swiftSettings: strict),
        .testTarget(
            name: "StorageTests", dependencies: ["Storage", "TestSupport", "CSQLite"],
            swiftSettings: strict),
        .testTarget(
            name: "TransportTests",
            dependencies: [
                "Transport", "COpenSSL", "CNGHTTP2",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Server", "CChecksum", "Storage", "Raft", "Transport", "EtcdResponses",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulation", "Raft", "Storage", "Server"],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
