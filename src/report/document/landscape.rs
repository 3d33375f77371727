//! What `lth landscape` measured around the weights of a ticket, its control and the dense network, and how it changes
//! together with training accuracy.

use super::PageElement;
use super::ticket_results::TicketResults;
use crate::base::format::{mean_and_range, three_digits, with_thousands};
use crate::lottery::DENSE;
use crate::report::landscape::{
    ComparedQuantity, Correlation, LandscapeByKey, LandscapeComparison, QUANTITIES, Quantity, Tendency,
    WEIGHTS_REMAINING,
};
use crate::report::landscape_table::landscape_table;
use crate::report::statistics::Interval;
use crate::report::table::{Cell, Table};

/// The mark of an answer that holds after Holm's correction.
const CORRECTED: &str = "‡";

/// The statement on what correlations cannot show.
const NO_CAUSE: &str = "These correlations show which numbers change together, and no cause: every column of an arm is \
                        ordered by the number of weights, so that any two quantities which change steadily from round to \
                        round have a correlation near 1 or −1. Only ticket − reinit compares networks with equal masks.";

/// Returns the part on measured quantities under a heading of `level`.
pub(super) fn landscape(shown: &TicketResults<'_>, level: usize) -> Vec<PageElement> {
    let analysis = shown.analysis;
    let measured = LandscapeByKey::new(&analysis.landscape);
    let comparison = LandscapeComparison {
        results: shown.results,
        equal: &analysis.equal,
        measured: &measured,
        ticket: shown.ticket,
        reinit: shown.reinit,
    };
    let compared = comparison.quantities();
    let mut elements = vec![PageElement::Heading(level, "What changes together with training accuracy".to_owned())];
    match analysis.landscape.first() {
        None => elements.push(PageElement::Text(format!(
            "`lth landscape {}` measures the distance that weights move, the gradient at the start, sharpness, and the \
             loss between start and end; they then appear here.",
            analysis.run.name()
        ))),
        Some(first) => {
            elements.push(PageElement::Text(format!(
                "Measured by `lth landscape`, over the conv and linear weights that the mask keeps, and over {} training \
                 images; lines have {} networks, and sharpness {} directions. Where a network is evaluated, its batch \
                 norms have the statistics of training images. Mean (minimum–maximum) over n training runs.",
                with_thousands(first.images as u64), first.points, first.directions
            )));
            let definition = |quantity: &Quantity| format!("{}: {}.", quantity.title, quantity.definition);
            elements.push(PageElement::List(QUANTITIES.iter().map(definition).collect()));
            elements.push(PageElement::Table(quantity_table(shown)));
        }
    }
    elements.push(PageElement::Text(correlation_text(shown)));
    elements.push(PageElement::Table(correlation_table(&compared, shown.reinit.is_some())));
    elements.extend(trend(shown, &compared).map(PageElement::Text));
    elements.extend(conclusions(shown, &compared).map(PageElement::Text));
    elements.push(PageElement::Text(NO_CAUSE.to_owned()));
    elements
}

/// Returns the table of quantities of the dense network, the ticket and its control.
fn quantity_table(shown: &TicketResults<'_>) -> Table {
    let arms: Vec<&str> = std::iter::once(DENSE).chain(shown.arms()).collect();
    let rows = &shown.analysis.landscape;
    let of_arms: Vec<_> = arms.iter().flat_map(|arm| rows.iter().filter(move |row| row.arm == *arm)).collect();
    landscape_table(&of_arms, &QUANTITIES)
}

/// Returns a paragraph on how to read the table of correlations.
fn correlation_text(shown: &TicketResults<'_>) -> String {
    let time = shown.analysis.equal.main().map_or_else(String::new, |time| format!(" at {}", time.name()));
    format!(
        "Rank correlation (Spearman) with training accuracy{time}, within each replicate over the dense network and the \
         rounds of an arm; 1 if both rise together at every round, −1 if one falls where the other rises. For ticket − \
         reinit, it is that of the differences between the two at each round. Mean (one-sided 95% bounds of Student's t \
         over replicates); how many of the n replicates have its sign; and whether the quantity rises or falls where \
         training accuracy rises. {CORRECTED} holds after Holm's correction over the rows (two-sided, 5%). The last \
         column is the mean over rounds of ticket − reinit in the quantity itself, with its bounds."
    )
}

/// Returns the table of correlations. `has_reinit`: whether the ticket has a control to compare with.
fn correlation_table(compared: &[ComparedQuantity], has_reinit: bool) -> Table {
    let titles = ["quantity", "ticket", "reinit", "ticket − reinit", "mean of ticket − reinit"];
    let shown = if has_reinit { titles.len() } else { 2 };
    let mut table = Table::new(titles.into_iter().take(shown));
    for quantity in compared {
        let cells = [
            Cell::text(quantity.title),
            correlation_cell(&quantity.ticket),
            correlation_cell(&quantity.reinit),
            correlation_cell(&quantity.difference),
            Cell::optional(quantity.mean_difference.map(|bounds| bounds_text(&bounds, three_digits))),
        ];
        table.rows.push(cells.into_iter().take(shown).collect());
    }
    table
}

/// Returns the cell of a correlation: its mean with bounds, the replicates that agree, and the tendency.
fn correlation_cell(correlation: &Correlation) -> Cell {
    let n = correlation.values.len();
    let agreeing = correlation.agreeing();
    let two_decimals = |value: f64| format!("{value:.2}");
    match (&correlation.bounds, &correlation.values[..]) {
        (_, []) => Cell::Missing,
        (None, values) => Cell::text(format!("{}, n = {n}", mean_and_range(values, two_decimals))),
        (Some(bounds), _) => {
            let tendency = match correlation.tendency() {
                Tendency::Rises => "rises",
                Tendency::Falls => "falls",
                Tendency::Undecided => "undecided",
            };
            let mark = if correlation.is_corrected { CORRECTED } else { "" };
            let text = bounds_text(bounds, two_decimals);
            Cell::text(format!("{text}, {agreeing} of {n}: {tendency}{mark}"))
        }
    }
}

/// Returns a mean with its bounds as text.
fn bounds_text(bounds: &Interval, format: impl Fn(f64) -> String) -> String {
    let signed = |value: f64| format(value).replace('-', "\u{2212}");
    format!("{} ({} to {})", signed(bounds.mean), signed(bounds.low), signed(bounds.high))
}

/// Returns a sentence on the trend of training accuracy over the rounds of each arm, by its correlation with weights
/// remaining; `None` if the run has no rounds to correlate.
fn trend(shown: &TicketResults<'_>, compared: &[ComparedQuantity]) -> Option<String> {
    let remaining = compared.iter().find(|quantity| quantity.title == WEIGHTS_REMAINING)?;
    let of_arm = |(arm, correlation): (&str, &Correlation)| {
        // The accuracy rises as weights are removed if it falls where more weights remain.
        let answer = match correlation.tendency() {
            Tendency::Falls => "rises",
            Tendency::Rises => "falls",
            Tendency::Undecided => "has no decided trend",
        };
        format!("that of {arm} {answer} (n = {})", correlation.values.len())
    };
    let arms: Vec<String> = shown.arms().zip([&remaining.ticket, &remaining.reinit]).map(of_arm).collect();
    let is_known = !remaining.ticket.values.is_empty() || !remaining.reinit.values.is_empty();
    is_known.then(|| {
        format!("Training accuracy over all rounds as weights are removed, by the first row: {}.", arms.join("; "))
    })
}

/// Returns sentences on the quantities that change with training accuracy in both arms, in one, or in none; `None` if
/// nothing was measured.
fn conclusions(shown: &TicketResults<'_>, compared: &[ComparedQuantity]) -> Option<String> {
    let quantities: Vec<&ComparedQuantity> = compared.iter().filter(|other| other.title != WEIGHTS_REMAINING).collect();
    let names = |is_shown: &dyn Fn(&ComparedQuantity) -> bool| {
        let names: Vec<&str> =
            quantities.iter().filter(|quantity| is_shown(quantity)).map(|quantity| quantity.title).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let of = |correlation: &Correlation| correlation.tendency();
    if quantities.is_empty() {
        return None;
    }
    let ticket = shown.ticket;
    let Some(reinit) = shown.reinit else {
        let rises = names(&|quantity| of(&quantity.ticket) == Tendency::Rises);
        let falls = names(&|quantity| of(&quantity.ticket) == Tendency::Falls);
        return Some(format!(
            "Where the training accuracy of {ticket} rises over the rounds, these rise: {rises}; these fall: {falls}. \
             Without a control with equal masks, nothing shows whether that is particular to the ticket."
        ));
    };
    let both = |tendency: Tendency| {
        names(&move |quantity| of(&quantity.ticket) == tendency && of(&quantity.reinit) == tendency)
    };
    let opposite = names(&|quantity| {
        matches!(
            (of(&quantity.ticket), of(&quantity.reinit)),
            (Tendency::Rises, Tendency::Falls) | (Tendency::Falls, Tendency::Rises)
        )
    });
    let difference = |tendency: Tendency| names(&move |quantity| of(&quantity.difference) == tendency);
    Some(format!(
        "Where training accuracy rises over the rounds, these rise in {ticket} and in {reinit}: {}; these fall in both: \
         {}. In opposite directions in the two arms: {opposite}. At equal masks, where {ticket} is ahead of {reinit} by \
         more, the difference of these is larger: {}; of these smaller: {}. All others are undecided in at least one of \
         the two arms, or do not vary.",
        both(Tendency::Rises),
        both(Tendency::Falls),
        difference(Tendency::Rises),
        difference(Tendency::Falls)
    ))
}
