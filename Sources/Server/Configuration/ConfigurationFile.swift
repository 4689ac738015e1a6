// ConfigurationFile.swift: --config-file: reading it and flattening its YAML to settings. Belongs
// here: bytes to keys and texts. Never here: what a value means (Flag.swift), precedence
// (Configuration+Load.swift). Source: etcd.conf.yml.sample's keys. etcd reads durations as numbers
// of nanoseconds there; "5s" is taken too.

import Glibc
import Yams

/// A configuration file as pairs of keys and texts.
struct ConfigurationFile {
    /// More than any real file, little enough to hold.
    static let bytesMax = 1 << 20

    struct Item {
        /// The path of keys, joined with dots.
        let key: String
        let text: String
    }

    private(set) var items: [Item] = []
    private let path: String

    /// Reads the text of a file.
    init(yaml: String, path: String) throws(ConfigurationError) {
        self.path = path
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw .file(path: path, problem: "not valid YAML: \(error)")
        }
        guard let root, root.null == nil else { return }
        guard case .mapping(let mapping) = root else {
            throw .file(path: path, problem: "the top level must be a mapping of keys to values")
        }
        try flatten(mapping, under: "")
    }

    private mutating func flatten(
        _ mapping: Node.Mapping, under prefix: String
    ) throws(ConfigurationError) {
        for (keyNode, node) in mapping {
            guard let word = keyNode.scalar?.string else {
                throw .file(path: path, problem: "a key is not a word")
            }
            let key = prefix + word
            switch node {
            case .mapping(let inner) where prefix.isEmpty:
                try flatten(inner, under: "\(key).")
            case .sequence(let sequence):
                let words = sequence.compactMap { $0.scalar?.string }
                guard words.count == sequence.count else {
                    throw .file(path: path, problem: "\(key) must be a list of words")
                }
                items.append(Item(key: key, text: words.joined(separator: ",")))
            case .scalar(let scalar):
                if node.null == nil { items.append(Item(key: key, text: scalar.string)) }
            case .mapping, .alias:
                throw .file(path: path, problem: "\(key) must be a single value")
            }
        }
    }

    /// The text of an item as the flag's parser takes it.
    static func flagText(_ item: Item, for flag: Flag) -> String {
        if flag.value.isBoolean {
            switch item.text.lowercased() {
            case "yes", "on", "y": return "true"
            case "no", "off", "n": return "false"
            default: return item.text
            }
        }
        if flag.value.placeholder == FlagValue.durationPlaceholder, Int64(item.text) != nil {
            return "\(item.text)ns"
        }
        return item.text
    }

    /// Reads the text of a whole file of at most ``bytesMax`` bytes.
    static func read(_ path: String) throws(ConfigurationError) -> String {
        guard let text = String(validating: try readBytes(path), as: UTF8.self) else {
            throw .file(path: path, problem: "not UTF-8 text")
        }
        return text
    }

    /// Reads a whole file of at most ``bytesMax`` bytes.
    static func readBytes(_ path: String) throws(ConfigurationError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .file(path: path, problem: String(cString: strerror(errno)))
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw .file(path: path, problem: String(cString: strerror(errno)))
            }
            if count == 0 { break }
            bytes += buffer[..<count]
            guard bytes.count <= bytesMax else {
                throw .file(path: path, problem: "larger than \(bytesMax) bytes")
            }
        }
        return bytes
    }
}
