// Picture.swift: a run as one self-contained HTML file: members as lanes, messages as arrows, faults as bands.
// Belongs here: drawing. Never here: choosing what was noted (World/Trace.swift).
// Time runs downwards; only the last part of a long run is drawn, for that is where the failure is.

/// Draws runs.
public enum Picture {
    /// Events drawn at most: what a browser shows without pain.
    private static let eventsMax = 4000
    private static let laneWidth = 180
    private static let lineHeight = 14

    /// The picture of a world whose trace was kept.
    public static func html(of world: World) -> String {
        let lines = world.trace.lines.suffix(eventsMax)
        let lanes = world.nodes.count
        let height = (lines.count + 4) * lineHeight
        var shapes: [String] = []
        shapes += bands(world, Array(lines))
        for lane in 0..<lanes {
            let x = place(lane)
            shapes.append("<line class='lane' x1='\(x)' y1='30' x2='\(x)' y2='\(height)'/>")
            shapes.append("<text class='head' x='\(x - 8)' y='20'>n\(lane)</text>")
        }
        for (row, event) in lines.enumerated() {
            shapes.append(shape(of: event, y: (row + 3) * lineHeight, lanes: lanes))
        }
        let failure = world.failure.map { "\($0.rule): \($0.text)" } ?? "no violation"
        return """
            <!DOCTYPE html><meta charset='utf-8'><title>seed \(world.setup.seed)</title>
            <style>body{font:12px monospace}.lane{stroke:#999}.head{font-weight:bold}\
            .arrow{stroke:#36c;stroke-width:0.7}.dot{fill:#36c}.band{fill:#c33;opacity:0.12}\
            text{font:10px monospace}.time{fill:#888}.big{fill:#a00;font-weight:bold}</style>
            <h3>seed \(world.setup.seed): \(escaped(failure))</h3>
            <svg width='\(place(lanes) + 500)' height='\(height)'>
            \(shapes.joined(separator: "\n"))
            </svg>
            """
    }

    private static func place(_ lane: Int) -> Int { 120 + lane * laneWidth }

    private static func shape(of event: TraceEvent, y: Int, lanes: Int) -> String {
        let time = "<text class='time' x='2' y='\(y + 3)'>\(event.time.microseconds)</text>"
        let x = place(max(0, event.node))
        guard event.kind == .message else {
            let style = event.kind == .call || event.kind == .answer ? "" : " class='big'"
            let text = escaped("\(event.kind) \(event.first) \(event.second) \(event.text)")
            return time + "<circle class='dot' cx='\(x)' cy='\(y)' r='2'/>"
                + "<text\(style) x='\(x + 5)' y='\(y + 3)'>\(text)</text>"
        }
        let end = place(Int(event.first))
        return time
            + "<line class='arrow' x1='\(x)' y1='\(y)' x2='\(end)' y2='\(y + lineHeight)'/>"
            + "<text x='\(place(lanes) - 50)' y='\(y + 3)'>n\(event.node) \(escaped(event.text))</text>"
    }

    private static func bands(_ world: World, _ lines: [TraceEvent]) -> [String] {
        func row(_ moment: Moment) -> Int {
            (lines.firstIndex { $0.time >= moment } ?? lines.count) + 3
        }
        guard let first = lines.first?.time else { return [] }
        var shapes: [String] = []
        for band in world.plan.bands where band.to >= first {
            for lane in band.places {
                let top = row(band.from) * lineHeight
                let bottom = max(row(band.to) * lineHeight, top + 4)
                shapes.append(
                    "<rect class='band' x='\(place(lane) - 30)' y='\(top)' width='60' "
                        + "height='\(bottom - top)'><title>\(band.word)</title></rect>")
            }
        }
        return shapes
    }

    private static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "<": "&lt;"
            case ">": "&gt;"
            case "&": "&amp;"
            default: String(character)
            }
        }.joined()
    }
}

extension World {
    /// The kept trace, one line for each event.
    public var traceText: String { trace.lines.map { $0.line + "\n" }.joined() }
}
