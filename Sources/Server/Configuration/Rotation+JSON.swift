// Rotation+JSON.swift: --log-rotation-config-json.
// Belongs here: its grammar, and which of its members are honoured. Never here: rotating.
// Source: etcd's flag, whose members are those of the library that it hands them to. JSON is YAML.

import Yams

extension Rotation {
    /// What the value of the flag asks for.
    ///
    /// Files are always numbered, never compressed and never dropped by age: asking for that is an error.
    static func reading(json text: String) throws(ValueProblem) -> Rotation {
        let form = ValueProblem(
            expected: #"an object such as {"maxsize": 100, "maxbackups": 10}"#)
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw form
        }
        guard case .mapping(let members)? = root else { throw form }
        var (mebibytes, backups) = (100, 0)
        for (name, value) in members {
            switch name.scalar?.string {
            case "maxsize": mebibytes = try number(value, in: 0...1_000_000)
            case "maxbackups": backups = try number(value, in: 0...1000)
            case "maxage": try requireOff(value, "maxage")
            case "localtime": continue
            case "compress": try requireOff(value, "compress")
            default: throw form
            }
        }
        return Rotation(
            bytesMax: (mebibytes == 0 ? 100 : mebibytes) << 20,
            backups: backups == 0 ? backupsMax : backups)
    }

    /// As many stay where no number is given: a disk must not fill up for want of one.
    private static let backupsMax = 100

    private static func number(
        _ node: Node, in bounds: ClosedRange<Int>
    ) throws(ValueProblem) -> Int {
        try FlagValue.requireInteger(node.scalar?.string ?? "", in: bounds)
    }

    private static func requireOff(_ node: Node, _ name: String) throws(ValueProblem) {
        let text = node.scalar?.string ?? ""
        guard text == "0" || FlagValue.boolean(text) == false else {
            throw ValueProblem(expected: "no \(name): old files are numbered and kept as they are")
        }
    }
}
