//! Figures and the page.
