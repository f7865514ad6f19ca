//! The language: elements, colours, escapes.

use std::fmt::{Arguments, Write as _};

use super::floor::Frame;

/// A colour by what it is for, in light and in dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Sheet,
    Card,
    Step,
    Rim,
    Ink,
    Dim,
    Needs,
    Order,
    Race,
    Note,
}

impl Paint {
    const ALL: [Self; 10] = [
        Self::Sheet,
        Self::Card,
        Self::Step,
        Self::Rim,
        Self::Ink,
        Self::Dim,
        Self::Needs,
        Self::Order,
        Self::Race,
        Self::Note,
    ];

    /// Its name, in light, in dark.
    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Sheet => ("sheet", "#ffffff", "#0d1117"),
            Self::Card => ("card", "#f6f8fa", "#161b22"),
            Self::Step => ("step", "#ffffff", "#0d1117"),
            Self::Rim => ("rim", "#d0d7de", "#3d444d"),
            Self::Ink => ("ink", "#1f2328", "#e6edf3"),
            Self::Dim => ("dim", "#57606a", "#9198a1"),
            Self::Needs => ("needs", "#8c959f", "#768390"),
            Self::Order => ("order", "#0969da", "#4493f8"),
            Self::Race => ("race", "#d1242f", "#f85149"),
            Self::Note => ("note", "#9a6700", "#d29922"),
        }
    }

    pub(super) fn light(self) -> &'static str {
        self.row().1
    }
}

/// Colours of chips, on which dark text can be read, and that look different to most people.
const CHIPS: [&str; 10] = [
    "#a5d8ff", "#ffec99", "#b2f2bb", "#eebefa", "#ffd8a8", "#99e9f2", "#d0bfff", "#fcc2d7", "#d8f5a2",
    "#ced4da",
];

/// The colour of a cache.
pub(super) fn chip_colour(number: usize) -> &'static str {
    CHIPS[number % CHIPS.len()]
}

/// Where a text's x is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub(super) size: usize,
    pub(super) is_bold: bool,
    pub(super) anchor: Anchor,
}

impl Pen {
    pub(super) const TEXT: Self = Self { size: 11, is_bold: false, anchor: Anchor::Start };

    pub(super) fn bold(self) -> Self {
        Self { is_bold: true, ..self }
    }

    pub(super) fn size(self, size: usize) -> Self {
        Self { size, ..self }
    }

    pub(super) fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

/// The text of a picture, element by element.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    text: String,
}

impl Canvas {
    pub(super) fn put(&mut self, element: Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(element);
        self.text.push('\n');
    }

    /// The picture's beginning. Where styles are taken out of pictures, it is the light one.
    pub(super) fn open(&mut self, width: usize, height: usize, title: &str, description: &str) {
        self.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" \
             font-family=\"'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace\">"
        ));
        self.put(format_args!("<title>{}</title>\n<desc>{}</desc>", escaped(title), escaped(description)));
        self.put(format_args!("<style>@media (prefers-color-scheme: dark) {{"));
        for paint in Paint::ALL {
            let (name, _, dark) = paint.row();
            self.put(format_args!(".{name}-f {{ fill: {dark} }} .{name}-s {{ stroke: {dark} }}"));
        }
        self.put(format_args!("}}</style>\n<defs>"));
        for paint in [Paint::Needs, Paint::Order] {
            let (name, light, _) = paint.row();
            self.put(format_args!(
                "<marker id=\"{name}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
                 markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"{name}-f\" \
                 fill=\"{light}\"/></marker>"
            ));
        }
        self.put(format_args!("</defs>"));
    }

    /// What was put so far.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn close(mut self) -> String {
        self.put(format_args!("</svg>"));
        self.text
    }

    pub(super) fn rect(&mut self, frame: Frame, radius: usize, fill: Paint, stroke: Paint, width: &str) {
        let Frame { x, y, width: w, height: h } = frame;
        let (fill, light, _) = fill.row();
        let (stroke, line, _) = stroke.row();
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{radius}\" class=\"{fill}-f {stroke}-s\" \
             fill=\"{light}\" stroke=\"{line}\" stroke-width=\"{width}\"/>"
        ));
    }

    pub(super) fn text(&mut self, x: usize, y: usize, pen: Pen, paint: Paint, text: &str) {
        let (name, light, _) = paint.row();
        self.words(x, y, pen, &format!("class=\"{name}-f\" fill=\"{light}\""), text);
    }

    /// Text in a colour that is the same in light and in dark.
    pub(super) fn fixed_text(&mut self, x: usize, y: usize, pen: Pen, colour: &str, text: &str) {
        self.words(x, y, pen, &format!("fill=\"{colour}\""), text);
    }

    fn words(&mut self, x: usize, y: usize, pen: Pen, colour: &str, text: &str) {
        let anchor = match pen.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let bold = if pen.is_bold { " font-weight=\"bold\"" } else { "" };
        let (size, text) = (pen.size, escaped(text));
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{bold}{anchor} {colour}>{text}</text>"
        ));
    }

    /// A line; `style` are further attributes.
    pub(super) fn path(&mut self, path: &str, paint: Paint, style: &str) {
        let (name, light, _) = paint.row();
        self.put(format_args!(
            "<path d=\"{path}\" fill=\"none\" class=\"{name}-s\" stroke=\"{light}\" {style}/>"
        ));
    }
}

/// Text in XML, which cannot hold every character. What turns the direction of text around is shown as what it is not.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.push('\u{fffd}');
            }
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_text() {
        let text = "<a b='\"&\u{1b}\u{ffff}\u{202e}>";
        assert_eq!(escaped(text), "&lt;a b=&#39;&quot;&amp;\u{fffd}\u{fffd}\u{fffd}&gt;");
    }
}
