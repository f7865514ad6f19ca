//! A picture: a card a stage, a box a step, a chip a cache in its own colour. Red is what collides, blue what the plan adds.

mod canvas;
mod draw;
mod floor;
mod legend;
mod measure;
mod route;
mod sheet;

use super::Planned;
use super::outline::Outline;
use draw::Picture;
use sheet::Sheet;

/// A picture without scripts or anything from elsewhere, light or dark as the page's reader likes it.
#[must_use]
pub fn svg(planned: &Planned<'_>) -> String {
    let outline = Outline::of(planned);
    let sheet = Sheet::of(planned, &outline);
    Picture { planned, outline: &outline, sheet: &sheet, numbers: planned.cache_numbers() }.draw()
}
