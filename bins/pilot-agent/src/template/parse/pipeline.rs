//! Pipelines: values, calls, and what is passed from one to the next.

use super::{DEEPEST, Parser};
use crate::template::functions;
use crate::template::lex::{Kind, Token};
use crate::template::tree::{Command, Operand, OperandKind, Operation, Pipeline};
use crate::template::{Place, TemplateError};

impl Parser {
    pub(super) fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        self.pipeline_after(None)
    }

    /// A pipeline of which the first token may have been taken.
    pub(super) fn pipeline_after(
        &mut self,
        mut first: Option<Token>,
    ) -> Result<Pipeline, TemplateError> {
        let place = first
            .as_ref()
            .or_else(|| self.tokens.peek())
            .map_or(self.end, |token| token.place);
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let command = self.command(first.take(), place)?;
            if !commands.is_empty() && matches!(command.operation, Operation::Value(_)) {
                return command.place.error("behind a | stands a function");
            }
            commands.push(command);
            if !self.sign("|") {
                return Ok(Pipeline { place, commands });
            }
        }
    }

    fn command(&mut self, first: Option<Token>, at: Place) -> Result<Command, TemplateError> {
        let Some(token) = first.or_else(|| self.operand_token()) else {
            let place = self.tokens.peek().map_or(at, |token| token.place);
            return place.error("a value is missing here");
        };
        let place = token.place;
        if let Kind::Word(name) = &token.kind
            && constant(name).is_none()
        {
            let Some(function) = functions::by_name(name) else {
                return place.error(format!(
                    "there is no function {name}; the functions are {}",
                    functions::NAMES.join(", ")
                ));
            };
            let mut arguments = Vec::new();
            while let Some(token) = self.operand_token() {
                arguments.push(self.operand(token)?);
            }
            let operation = Operation::Call(function, arguments);
            return Ok(Command { place, operation });
        }
        let operand = self.operand(token)?;
        if let Some(next) = self.operand_token() {
            return next
                .place
                .error("two values stand beside each other, and the first is no function");
        }
        Ok(Command {
            place,
            operation: Operation::Value(operand),
        })
    }

    /// The next token, if a value can begin with it.
    fn operand_token(&mut self) -> Option<Token> {
        self.tokens.next_if(|token| {
            !matches!(
                token.kind,
                Kind::Close | Kind::Sign("|" | ")" | "," | ":=" | "=") | Kind::Text(_) | Kind::Open
            )
        })
    }

    fn operand(&mut self, token: Token) -> Result<Operand, TemplateError> {
        let place = token.place;
        let kind = match token.kind {
            Kind::Field(path) => OperandKind::Field(path),
            Kind::Variable(name, path) => OperandKind::Variable(name, path),
            Kind::String(text) => OperandKind::String(text),
            Kind::Integer(number) => OperandKind::Integer(number),
            Kind::Word(word) => match constant(&word) {
                Some(constant) => constant,
                None => {
                    return place.error(format!(
                        "{word} stands where a value is expected; put a call in parentheses"
                    ));
                }
            },
            Kind::Sign("(") => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return place.error(format!(
                        "parentheses stand more than {DEEPEST} deep in one another"
                    ));
                }
                let pipeline = self.pipeline()?;
                self.depth -= 1;
                if !self.sign(")") {
                    return place.error("this ( has no )");
                }
                OperandKind::Pipeline(Box::new(pipeline))
            }
            _ => return place.error("a value is expected here"),
        };
        Ok(Operand { place, kind })
    }
}

fn constant(word: &str) -> Option<OperandKind> {
    match word {
        "true" => Some(OperandKind::Bool(true)),
        "false" => Some(OperandKind::Bool(false)),
        "nil" => Some(OperandKind::Nil),
        _ => None,
    }
}
