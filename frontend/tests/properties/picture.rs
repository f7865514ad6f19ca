//! What holds of every picture: it is XML, boxes lie beside or inside each other, lines go around cards, and text stays in
//! its box.

use ci_build_frontend::graph::{
    BuildGraph, CacheKey, CacheUse, GraphBuilder, Location, Mount, MountRef, Sharing, Stage, Step,
};
use ci_build_frontend::plan::{Plan, Policy, Primer};
use ci_build_frontend::report::plan::{self, Planned};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

/// What people write, and what nobody does.
const NAMES: [&str; 8] = [
    "build",
    "a-very-long-name-of-a-stage-that-somebody-meant-well-with-and-that-no-card-is-wide-enough-for",
    "<script>alert(\"1\")</script>",
    "日本語の名前はとても幅が広いので箱に入りきらないことがあります日本語の名前",
    "a\u{202e}b\u{1b}[31m\u{0}\u{ffff}&amp;'",
    "",
    "%%{init: {}}%% ]--> end",
    "\\l\" ];",
];

/// A step: its stage, its name, its caches with their modes, and whether it is for another platform.
type StepModel = (usize, usize, Vec<(usize, usize)>, bool);

#[derive(Debug, Clone)]
struct Model {
    stages: usize,
    steps: Vec<StepModel>,
    edges: Vec<(usize, usize)>,
    primer: Vec<usize>,
}

fn models() -> impl Strategy<Value = Model> {
    let mounts = prop::collection::vec((0..12_usize, 0..3_usize), 0..9);
    let step = (0..40_usize, 0..NAMES.len(), mounts, any::<bool>());
    let steps = prop::collection::vec(step, 1..60);
    let edges = prop::collection::vec((0..60_usize, 0..60_usize), 0..90);
    let primer = prop::collection::vec(0..60_usize, 0..4);
    (0..40_usize, steps, edges, primer).prop_map(|(stages, steps, edges, primer)| Model {
        stages,
        steps,
        edges,
        primer,
    })
}

/// The build, and the steps in the order in which they were added.
fn build(model: &Model) -> BuildGraph {
    let mut builder = GraphBuilder::default();
    for index in 0..model.stages {
        let name = NAMES[index % NAMES.len()].to_owned();
        let base = NAMES[(index + 3) % NAMES.len()].to_owned();
        builder.stage(Stage { name, index, base, line: u32::try_from(index * 10 + 1).unwrap() });
    }
    let mut steps = model.steps.clone();
    steps.sort();
    let add = |(number, (stage, text, mounts, is_arm)): (usize, &StepModel)| {
        let line = u32::try_from(stage * 10 + 2).unwrap();
        let mount = |(cache, sharing): &(usize, usize)| Mount {
            target: format!("/{cache}"),
            cache: Some(CacheUse {
                key: CacheKey::new(format!("/{cache}{}", NAMES[cache % NAMES.len()])),
                sharing: [Sharing::Shared, Sharing::Locked, Sharing::Private][*sharing],
            }),
            ..Mount::default()
        };
        builder.add(Step {
            id: format!("{number}/{}", NAMES[*text]),
            stage: Some(NAMES[*text].to_owned()),
            platform: Some(if *is_arm { "linux/arm64" } else { "linux/amd64" }.to_owned()),
            location: Some(Location { file: "Dockerfile".to_owned(), line }),
            title: format!("RUN {}", NAMES[*text]),
            mounts: mounts.iter().map(mount).collect(),
            ..Step::default()
        })
    };
    let indices: Vec<_> = steps.iter().enumerate().map(add).collect();
    for (from, to) in &model.edges {
        if from < to && *to < indices.len() {
            builder.depend(indices[*from], indices[*to]);
        }
    }
    builder.finish().unwrap()
}

fn primer(graph: &BuildGraph, model: &Model) -> Option<Primer> {
    let steps: Vec<_> = graph.steps().map(|(step, _)| step).collect();
    let before: Vec<_> = model.primer.iter().filter_map(|step| steps.get(*step).copied()).collect();
    let caches = graph.caches().into_values();
    let mounts: Vec<MountRef> = caches.filter_map(|mounts| mounts.first().copied()).collect();
    (!before.is_empty()).then_some(Primer { mounts, before })
}

/// A start tag with its attributes, or text.
#[derive(Debug, Clone)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    /// How far the groups around it move it.
    shift: (i64, i64),
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    fn number(&self, name: &str) -> i64 {
        self.attribute(name).unwrap().parse().unwrap()
    }

    fn class(&self) -> &str {
        self.attribute("class").unwrap_or_default()
    }
}

/// The elements of an XML document, which panics where it is none. Only what a picture needs is known.
fn parse(document: &str) -> Vec<Element> {
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = document;
    assert!(document.chars().all(|c| c == '\n' || !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')));
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        match open.last() {
            Some(last) => elements[*last].text.push_str(&unescaped(text)),
            None => assert_eq!(text.trim(), "", "text outside of the root"),
        }
        let end = tag.find('>').expect("an end of the tag");
        let inner = &tag[1..end];
        rest = &tag[end + 1..];
        if let Some(name) = inner.strip_prefix('/') {
            let closed = open.pop().expect("an element to close");
            assert_eq!(elements[closed].name, name);
            continue;
        }
        let (inner, is_closed) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let (name, mut left) = inner.split_once(' ').unwrap_or((inner, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        let mut attributes: Vec<(String, String)> = Vec::new();
        while !left.trim().is_empty() {
            let (name, value) = left.trim_start().split_once("=\"").expect("a value");
            let (value, more) = value.split_once('"').expect("the end of a value");
            assert!(attributes.iter().all(|(other, _)| other != name), "twice: {name}");
            attributes.push((name.to_owned(), unescaped(value)));
            left = more;
        }
        let mut shift = open.last().map_or((0, 0), |parent| elements[*parent].shift);
        let transform = attributes.iter().find(|(name, _)| name == "transform");
        if let Some((x, y)) =
            transform.and_then(|(_, to)| to.strip_prefix("translate(")?.strip_suffix(')')?.split_once(' '))
        {
            shift = (shift.0 + x.parse::<i64>().unwrap(), shift.1 + y.parse::<i64>().unwrap());
        }
        elements.push(Element { name: name.to_owned(), attributes, text: String::new(), shift });
        if !is_closed {
            open.push(elements.len() - 1);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty());
    elements
}

fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'")];
    let bare = entities.iter().fold(text.to_owned(), |text, (entity, _)| text.replace(entity, ""));
    assert!(!bare.replace("&amp;", "").contains('&'), "{text}");
    let text = entities.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c));
    text.replace("&amp;", "&")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    x: i64,
    y: i64,
    right: i64,
    bottom: i64,
}

impl Area {
    fn of(rect: &Element) -> Self {
        let (x, y) = (rect.number("x") + rect.shift.0, rect.number("y") + rect.shift.1);
        Self { x, y, right: x + rect.number("width"), bottom: y + rect.number("height") }
    }

    fn size(self) -> i64 {
        (self.right - self.x) * (self.bottom - self.y)
    }

    fn holds(self, other: Self) -> bool {
        self.x <= other.x && self.y <= other.y && other.right <= self.right && other.bottom <= self.bottom
    }

    fn meets(self, other: Self) -> bool {
        self.x < other.right && other.x < self.right && self.y < other.bottom && other.y < self.bottom
    }
}

/// The straight parts of a path.
fn segments(path: &Element) -> Vec<Area> {
    let data = path.attribute("d").unwrap();
    let mut segments = Vec::new();
    let (mut x, mut y) = (0, 0);
    let mut at = 0;
    while at < data.len() {
        let command = data.as_bytes()[at];
        let end =
            data[at + 1..].find(|c: char| c.is_ascii_alphabetic()).map_or(data.len(), |end| at + 1 + end);
        let numbers: Vec<i64> =
            data[at + 1..end].split_whitespace().map(|number| number.parse().unwrap()).collect();
        at = end;
        let (next_x, next_y) = match (command, &*numbers) {
            (b'M' | b'L', [x, y]) | (b'Q', [_, _, x, y]) => (*x, *y),
            (b'H', [x]) => (*x, y),
            (b'V', [y]) => (x, *y),
            other => panic!("{other:?}"),
        };
        if command != b'M' {
            let (a, b) = ((x.min(next_x), x.max(next_x)), (y.min(next_y), y.max(next_y)));
            let (dx, dy) = path.shift;
            segments.push(Area { x: a.0 + dx, y: b.0 + dy, right: a.1 + dx, bottom: b.1 + dy });
        }
        (x, y) = (next_x, next_y);
    }
    segments
}

fn check(svg: &str) {
    let elements = parse(svg);
    assert!(elements.iter().all(|element| !matches!(&*element.name, "script" | "image" | "foreignObject")));
    let named = |name: &str| elements.iter().filter(move |element| element.name == name).collect::<Vec<_>>();
    let rects: Vec<_> = named("rect").into_iter().map(|rect| (rect, Area::of(rect))).collect();
    let sheet = rects[0].1;
    assert!(sheet.right < 4_000 && sheet.bottom < 30_000, "{sheet:?}");
    for (place, (_, a)) in rects.iter().enumerate() {
        assert!(sheet.holds(*a));
        for (_, b) in &rects[place + 1..] {
            assert!(!a.meets(*b) || a.holds(*b), "{a:?} and {b:?} overlap");
        }
    }
    let with = |radius: &str| -> Vec<Area> {
        let rects = rects.iter().filter(|(rect, _)| rect.attribute("rx") == Some(radius));
        rects.map(|(_, area)| *area).collect()
    };
    let cards = with("8").into_iter().filter(|area| area.right - area.x > 16).collect::<Vec<_>>();
    for boxes in [&cards, &with("5")] {
        for (place, a) in boxes.iter().enumerate() {
            assert!(boxes[place + 1..].iter().all(|b| !a.meets(*b)), "two boxes in one place");
        }
    }

    let mut texts: Vec<(Area, Area)> = Vec::new();
    for text in named("text") {
        let size = text.number("font-size");
        let width = (i64::try_from(text.text.width()).unwrap() * size * 602 + 999) / 1000;
        let (x, y) = (text.number("x") + text.shift.0, text.number("y") + text.shift.1);
        let x = match text.attribute("text-anchor") {
            None => x,
            Some("end") => x - width,
            Some(_) => x - width / 2,
        };
        let area = Area { x, y: y - size * 3 / 4, right: x + width, bottom: y };
        let around = rects
            .iter()
            .map(|(_, rect)| *rect)
            .filter(|rect| rect.x <= x.max(rect.x) && rect.holds(Area { right: x + 1, ..area }));
        let around = around.min_by_key(|rect| rect.size()).unwrap_or_else(|| panic!("{text:?} is nowhere"));
        assert!(around.holds(area), "{text:?} leaves {around:?}");
        for (other, box_of) in &texts {
            assert!(*box_of != around || !other.meets(area), "{text:?} lies on another");
        }
        texts.push((area, around));
    }

    let lines = named("path")
        .into_iter()
        .filter(|path| path.class().ends_with("-s") && !path.attribute("d").unwrap().contains(['v', 'h']));
    for line in lines {
        for segment in segments(line) {
            assert!(sheet.holds(segment));
            assert!(cards.iter().all(|card| !strictly_meets(*card, segment)), "a line crosses a card");
        }
    }
}

/// As [`Area::meets`], for lines, which have no breadth.
fn strictly_meets(card: Area, line: Area) -> bool {
    card.x < line.right.max(line.x + 1)
        && line.x < card.right
        && line.right > card.x
        && card.y < line.bottom.max(line.y + 1)
        && line.y < card.bottom
        && line.bottom > card.y
}

proptest! {
    #![proptest_config(crate::cases(16))]

    #[test]
    fn pictures_are_well_formed_and_nothing_overlaps(model in models()) {
        let graph = build(&model);
        for policy in [Policy::Auto, Policy::Order, Policy::Namespace, Policy::Off] {
            let mut plan = Plan::of(&graph, &policy.into());
            plan.primer = primer(&graph, &model);
            let planned = Planned::new(NAMES[1], &graph, &plan);
            check(&plan::svg(&planned));
            // These are bounded, too: Mermaid takes 50,000 characters unless told otherwise.
            prop_assert!(plan::mermaid(&planned).chars().count() < 50_000);
            prop_assert!(plan::dot(&planned).len() < 200_000);
        }
    }
}

/// The checks above find what they are for.
#[test]
fn what_is_wrong_is_seen() {
    let picture = |inner: &str| {
        format!(
            "<svg><rect x=\"0\" y=\"0\" width=\"500\" height=\"500\"/>\
             <rect x=\"10\" y=\"10\" width=\"100\" height=\"50\" rx=\"8\"/>{inner}</svg>"
        )
    };
    check(&picture("<text x=\"12\" y=\"30\" font-size=\"10\">&lt;short&gt;</text>"));
    check(&picture("<path d=\"M5 5L5 90Q5 95 10 95L200 95\" class=\"needs-s\"/>"));
    for wrong in [
        "<text x=\"12\" y=\"30\" font-size=\"10\">much too long for the box</text>",
        "<text x=\"12\" y=\"30\" font-size=\"10\">a & b</text>",
        "<text x=\"12\" y=\"30\" font-size=\"10\">open",
        "<text x=\"12\" x=\"12\" y=\"30\" font-size=\"10\">twice</text>",
        "<text x=\"12\" y=\"30\" font-size=\"10\">one</text><text x=\"14\" y=\"30\" font-size=\"10\">on</text>",
        "<rect x=\"100\" y=\"10\" width=\"100\" height=\"50\" rx=\"8\"/>",
        "<rect x=\"20\" y=\"20\" width=\"20\" height=\"20\" rx=\"8\"/>",
        "<path d=\"M5 20L200 20\" class=\"needs-s\"/>",
        "<script/>",
    ] {
        let picture = picture(wrong);
        assert!(std::panic::catch_unwind(|| check(&picture)).is_err(), "{wrong}");
    }
}
