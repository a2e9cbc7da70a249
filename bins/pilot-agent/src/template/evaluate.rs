//! A tree and data → text.

use serde_json::{Map, Value};

use super::functions::{Function, text, truth};
use super::tree::{Branch, Command, Node, Operand, OperandKind, Operation, Pipeline};
use super::{Place, TemplateError};

/// More than this is no configuration.
const LONGEST: usize = 16 << 20;

/// Writes a template out.
pub(super) fn evaluate(nodes: &[Node], data: &Map<String, Value>) -> Result<String, TemplateError> {
    let data = Value::Object(data.clone());
    let mut state = State {
        written: String::new(),
        root: &data,
        variables: Vec::new(),
    };
    state.nodes(nodes, &data)?;
    Ok(state.written)
}

struct State<'a> {
    written: String,
    root: &'a Value,
    /// Variables in scope, the innermost last.
    variables: Vec<(String, Value)>,
}

impl State<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        for node in nodes {
            self.node(node, dot)?;
        }
        Ok(())
    }

    /// The same in a scope of its own, with variables that are known there alone.
    fn scope(
        &mut self,
        nodes: &[Node],
        dot: &Value,
        variables: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(), TemplateError> {
        let outer = self.variables.len();
        self.variables.extend(variables);
        self.nodes(nodes, dot)?;
        self.variables.truncate(outer);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), TemplateError> {
        match node {
            Node::Text(text) => self.written.push_str(text),
            Node::Write(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                let text = text(&value).or_else(|why| pipeline.place.error(why))?;
                if self.written.len() + text.len() > LONGEST {
                    return pipeline
                        .place
                        .error(format!("the result is longer than {LONGEST} bytes"));
                }
                self.written.push_str(&text);
            }
            Node::Set {
                place,
                name,
                declares,
                value,
            } => {
                let value = self.pipeline(value, dot)?;
                if *declares {
                    self.variables.push((name.clone(), value));
                } else {
                    let known = self
                        .variables
                        .iter_mut()
                        .rev()
                        .find(|(known, _)| known == name);
                    match known {
                        Some((_, variable)) => *variable = value,
                        None => return place.error(undefined(name)),
                    }
                }
            }
            Node::Branch {
                kind,
                names,
                value: pipeline,
                then,
                otherwise,
            } => {
                let value = self.pipeline(pipeline, dot)?;
                if !truth(&value) {
                    return self.scope(otherwise, dot, []);
                }
                match kind {
                    Branch::Range => self.range(names, &value, pipeline.place, then)?,
                    Branch::If | Branch::With => {
                        let inner = if *kind == Branch::With { &value } else { dot };
                        let named = names.iter().map(|name| (name.clone(), value.clone()));
                        let named: Vec<_> = named.collect();
                        self.scope(then, inner, named)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        names: &[String],
        over: &Value,
        place: Place,
        body: &[Node],
    ) -> Result<(), TemplateError> {
        let elements: Vec<(Value, Value)> = match over {
            Value::Array(values) => (0_usize..)
                .zip(values)
                .map(|(index, value)| (index.into(), value.clone()))
                .collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (Value::String(key.clone()), value.clone()))
                .collect(),
            _ => return place.error("range goes over lists and maps"),
        };
        for (index, element) in elements {
            // One name is that of the element.
            let variables: Vec<_> = match names {
                [index_name, element_name] => vec![
                    (index_name.clone(), index),
                    (element_name.clone(), element.clone()),
                ],
                [element_name] => vec![(element_name.clone(), element.clone())],
                _ => Vec::new(),
            };
            self.scope(body, &element, variables)?;
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut last: Option<Value> = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or_default())
    }

    fn command(
        &self,
        command: &Command,
        dot: &Value,
        before: Option<Value>,
    ) -> Result<Value, TemplateError> {
        let (function, operands) = match &command.operation {
            Operation::Value(operand) => return self.operand(operand, dot),
            Operation::Call(function, operands) => (*function, operands),
        };
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            let value = self.operand(operand, dot)?;
            // What is behind the value that decides is not looked at.
            let decided = match function {
                Function::And => !truth(&value),
                Function::Or => truth(&value),
                _ => false,
            };
            if decided {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(before);
        function
            .call(&arguments)
            .or_else(|why| command.place.error(why))
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let place = operand.place;
        match &operand.kind {
            OperandKind::Field(path) => walk(dot, path, place),
            OperandKind::Variable(name, path) if name.is_empty() => walk(self.root, path, place),
            OperandKind::Variable(name, path) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                match known {
                    Some((_, value)) => walk(value, path, place),
                    None => place.error(undefined(name)),
                }
            }
            OperandKind::String(text) => Ok(Value::String(text.clone())),
            OperandKind::Integer(number) => Ok((*number).into()),
            OperandKind::Bool(value) => Ok(Value::Bool(*value)),
            OperandKind::Nil => Ok(Value::Null),
            OperandKind::Pipeline(pipeline) => self.pipeline(pipeline, dot),
        }
    }
}

fn undefined(name: &str) -> String {
    format!("the variable ${name} is not declared")
}

/// A field that is not there is an error in the data themselves, and nothing in maps of the operator's making within them.
fn walk(from: &Value, path: &[String], place: Place) -> Result<Value, TemplateError> {
    let mut value = from;
    for (depth, name) in path.iter().enumerate() {
        value = match value {
            Value::Object(fields) => match fields.get(name) {
                Some(value) => value,
                None if depth > 0 => &Value::Null,
                None => {
                    let known: Vec<_> = fields.keys().map(String::as_str).collect();
                    return place.error(format!(
                        "there is no field .{name}; there are {}",
                        known.join(", ")
                    ));
                }
            },
            Value::Null => &Value::Null,
            _ => return place.error(format!("what should have the field .{name} is no map")),
        };
    }
    Ok(value.clone())
}
