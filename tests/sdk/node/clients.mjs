// One adapter for each SDK, over both of its majors.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { Unable } from "./checks.mjs";

const require = createRequire(import.meta.url);

// The installed version of the package under this alias.
function version(alias) {
  let folder = dirname(require.resolve(alias));
  for (;;) {
    try {
      const text = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      if (text.version) return `${text.name} ${text.version}`;
    } catch {
      // Not the package's own folder.
    }
    folder = dirname(folder);
  }
}

async function openaiChat(major) {
  const alias = `openai-${major}`;
  const { default: OpenAI } = await import(alias);
  const make = (origin, apiKey = "sk-sdk") => {
    const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0, timeout: 20_000 });
    const create = (model, messages, options) => client.chat.completions.create({ model, messages, ...options });
    const user = (content) => [{ role: "user", content }];
    const text = (completion) => completion.choices[0].message.content;
    return {
      withKey: (key) => make(origin, key),
      status: (error) => error.status ?? 500,
      chat: async (model, question) => text(await create(model, user(question))),
      async stream(model, question) {
        let all = "";
        for await (const chunk of await create(model, user(question), { stream: true })) {
          all += chunk.choices[0]?.delta.content ?? "";
        }
        return all;
      },
      async tools(model, question, tools, results, isStream) {
        const offered = tools.map(({ name, about, parameters }) => ({
          type: "function",
          function: { name, description: about, parameters },
        }));
        const messages = user(question);
        const completion = isStream
          ? await client.chat.completions.stream({ model, messages, tools: offered }).finalChatCompletion()
          : await create(model, messages, { tools: offered });
        const { message } = completion.choices[0];
        const answers = message.tool_calls.map((call) => ({
          role: "tool",
          tool_call_id: call.id,
          content: results[call.function.name],
        }));
        const { role, content, tool_calls } = message;
        const final = await create(model, [...messages, { role, content, tool_calls }, ...answers], { tools: offered });
        const calls = tool_calls.map((call) => ({
          name: call.function.name,
          input: JSON.parse(call.function.arguments),
        }));
        return { calls, text: text(final) };
      },
      async schema(model, question, schema) {
        const response_format = { type: "json_schema", json_schema: { name: "person", schema, strict: true } };
        return JSON.parse(text(await create(model, user(question), { response_format })));
      },
      image: async (model, question, png) =>
        text(
          await create(
            model,
            user([
              { type: "text", text: question },
              { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
            ]),
          ),
        ),
      async embeddings(model, input) {
        const { data } = await client.embeddings.create({ model, input });
        return data.map((item) => item.embedding);
      },
    };
  };
  return { name: `${version(alias)} chat`, make };
}

async function openaiResponses(major) {
  const alias = `openai-${major}`;
  const { default: OpenAI } = await import(alias);
  const make = (origin, apiKey = "sk-sdk") => {
    const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0, timeout: 20_000 });
    const create = (model, input, options) => client.responses.create({ model, input, ...options });
    const finished = (model, input, options) => client.responses.stream({ model, input, ...options }).finalResponse();
    return {
      withKey: (key) => make(origin, key),
      status: (error) => error.status ?? 500,
      chat: async (model, question) => (await create(model, question)).output_text,
      async stream(model, question) {
        let all = "";
        let isWhole = false;
        for await (const event of await create(model, question, { stream: true })) {
          if (event.type === "response.output_text.delta") all += event.delta;
          if (event.type === "error") throw new Error(event.message);
          isWhole ||= event.type === "response.completed";
        }
        if (!isWhole) throw new Error("no response.completed");
        return all;
      },
      async tools(model, question, tools, results, isStream) {
        const offered = tools.map(({ name, about, parameters }) => ({
          type: "function",
          name,
          description: about,
          parameters,
          strict: false,
        }));
        const input = [{ role: "user", content: question }];
        const response = await (isStream ? finished : create)(model, input, { tools: offered });
        const calls = response.output.filter((item) => item.type === "function_call");
        const said = calls.map(({ type, call_id, name, arguments: text }) => ({ type, call_id, name, arguments: text }));
        const answers = calls.map((call) => ({
          type: "function_call_output",
          call_id: call.call_id,
          output: results[call.name],
        }));
        const final = await create(model, [...input, ...said, ...answers], { tools: offered });
        return {
          calls: calls.map((call) => ({ name: call.name, input: JSON.parse(call.arguments) })),
          text: final.output_text,
        };
      },
      async schema(model, question, schema) {
        const text = { format: { type: "json_schema", name: "person", schema, strict: true } };
        return JSON.parse((await create(model, question, { text })).output_text);
      },
      image: async (model, question, png) =>
        (
          await create(model, [
            {
              role: "user",
              content: [
                { type: "input_text", text: question },
                { type: "input_image", image_url: `data:image/png;base64,${png}`, detail: "auto" },
              ],
            },
          ])
        ).output_text,
      async embeddings() {
        throw new Unable("the Responses API makes none");
      },
    };
  };
  return { name: `${version(alias)} responses`, make };
}

async function anthropic(major) {
  const alias = `anthropic-${major}`;
  const { default: Anthropic } = await import(alias);
  const make = (origin, apiKey = "sk-sdk") => {
    const client = new Anthropic({ baseURL: origin, apiKey, maxRetries: 0, timeout: 20_000 });
    const create = (model, messages, options) =>
      client.messages.create({ model, max_tokens: 400, messages, ...options });
    const finished = (model, messages, options) =>
      client.messages.stream({ model, max_tokens: 400, messages, ...options }).finalMessage();
    const user = (content) => [{ role: "user", content }];
    const text = (message) =>
      message.content
        .filter((block) => block.type === "text")
        .map((block) => block.text)
        .join("");
    return {
      withKey: (key) => make(origin, key),
      status: (error) => error.status ?? 500,
      chat: async (model, question) => text(await create(model, user(question))),
      stream: async (model, question) => text(await finished(model, user(question))),
      async tools(model, question, tools, results, isStream) {
        const offered = tools.map(({ name, about, parameters }) => ({
          name,
          description: about,
          input_schema: parameters,
        }));
        const messages = user(question);
        const message = await (isStream ? finished : create)(model, messages, { tools: offered });
        const calls = message.content.filter((block) => block.type === "tool_use");
        const answers = calls.map((call) => ({
          type: "tool_result",
          tool_use_id: call.id,
          content: results[call.name],
        }));
        const assistant = { role: "assistant", content: message.content };
        const final = await create(model, [...messages, assistant, ...user(answers)], { tools: offered });
        return { calls, text: text(final) };
      },
      async schema(model, question, schema) {
        const output_config = { format: { type: "json_schema", schema } };
        return JSON.parse(text(await create(model, user(question), { output_config })));
      },
      image: async (model, question, png) =>
        text(
          await create(
            model,
            user([
              { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
              { type: "text", text: question },
            ]),
          ),
        ),
      async embeddings() {
        throw new Unable("Anthropic makes none");
      },
    };
  };
  return { name: version(alias), make };
}

async function vercel(major) {
  const sdk = await import(`ai-${major}`);
  const { createOpenAI } = await import(`ai-openai-${major}`);
  const make = (origin, apiKey = "sk-sdk") => {
    const provider = createOpenAI({ baseURL: `${origin}/v1`, apiKey });
    const ask = (model, options) => ({ model: provider.chat(model), maxRetries: 0, ...options });
    const inner = (error) => (error.statusCode ? error : (error.lastError ?? error.cause ?? error));
    return {
      withKey: (key) => make(origin, key),
      status: (error) => inner(error).statusCode ?? 500,
      chat: async (model, prompt) => (await sdk.generateText(ask(model, { prompt }))).text,
      async stream(model, prompt) {
        let all = "";
        const { fullStream } = sdk.streamText(ask(model, { prompt, onError: () => {} }));
        for await (const part of fullStream) {
          if (part.type === "error") throw part.error;
          if (part.type === "text-delta") all += part.text;
        }
        return all;
      },
      async tools(model, prompt, tools, results, isStream) {
        const offered = Object.fromEntries(
          tools.map(({ name, about, parameters }) => [
            name,
            sdk.tool({
              description: about,
              inputSchema: sdk.jsonSchema(parameters),
              execute: async () => results[name],
            }),
          ]),
        );
        const options = ask(model, { prompt, tools: offered, stopWhen: sdk.stepCountIs(2) });
        const result = isStream ? sdk.streamText(options) : await sdk.generateText(options);
        if (isStream) await result.consumeStream();
        const steps = await result.steps;
        const calls = steps[0].toolCalls.map((call) => ({ name: call.toolName, input: call.input }));
        return { calls, text: steps[1].text };
      },
      async schema(model, prompt, schema) {
        const output = sdk.Output.object({ schema: sdk.jsonSchema(schema) });
        const result = await sdk.generateText(ask(model, { prompt, output, experimental_output: output }));
        return JSON.parse(result.text);
      },
      async image(model, question, png) {
        const content = [
          { type: "text", text: question },
          { type: "image", image: png, mediaType: "image/png" },
        ];
        return (await sdk.generateText(ask(model, { messages: [{ role: "user", content }] }))).text;
      },
      async embeddings(model, values) {
        return (await sdk.embedMany({ model: provider.textEmbeddingModel(model), values, maxRetries: 0 })).embeddings;
      },
    };
  };
  return { name: version(`ai-${major}`), make };
}

export async function clients() {
  const all = [];
  for (const major of ["current", "previous"]) {
    for (const client of [openaiChat, openaiResponses, anthropic, vercel]) all.push(await client(major));
  }
  return all;
}
