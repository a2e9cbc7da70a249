//! What routers listen on, and where requests to them go.

mod listener;
mod route;
#[cfg(test)]
mod tests;
mod tls;

use super::Output;
use crate::inputs::router::RouterInput;
pub(super) use tls::socket as downstream_tls;

pub(super) fn translate(input: &RouterInput) -> Output {
    match input {
        RouterInput::Listener(input) => listener::translate(input),
        RouterInput::Route(input) => route::translate(input),
    }
}
