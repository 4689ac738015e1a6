// FaultAtlas.swift: which data may be damaged, so that a good copy of everything stays.
// Belongs here: the rule. Never here: doing damage (FaultPlan+Disks.swift).
// Source: TigerBeetle's fault atlas: a cluster can be asked to survive whatever leaves it one good copy.
//
// Two rules, never mixed on one machine. Expendable machines, a minority and always the same, may lose any byte. On
// the others single pages of the database may go bad, but a page on at most one of them.

/// What has been damaged, and what may be.
struct FaultAtlas {
    /// A minority of the machines that may lose everything.
    private(set) var expendable: [Int] = []
    /// On which of the other machines a page is bad, or was.
    private var damaged: [(page: UInt32, place: Int)] = []

    init() {}

    /// - Parameter machines: all of them, in an order by chance.
    init(machines: [Int]) {
        expendable = Array(machines.prefix((machines.count - 1) / 2))
    }

    /// Whether a page may go bad on a machine.
    func mayDamage(_ place: Int, _ page: UInt32) -> Bool {
        expendable.contains(place)
            || !damaged.contains { $0.page == page && $0.place != place }
    }

    /// Whether a machine may crash.
    ///
    /// A page that went bad beneath a checkpoint which a crash then tears can't be told from the tear: the
    /// member refuses to start, and is lost as a whole. That may happen to the minority only.
    func mayCrash(_ node: SimulatedNode) -> Bool {
        expendable.contains(node.place) || node.disk.rottenPages.isEmpty
    }

    mutating func damage(_ place: Int, _ page: UInt32) {
        guard !expendable.contains(place),
            !damaged.contains(where: { $0.page == page && $0.place == place })
        else { return }
        damaged.append((page, place))
    }
}
