// Swagger UI with this host's description. Requests of "Try it out" carry the browser's session.
const response = await fetch("/api/v1/openapi.json");
const description = await response.text();
SwaggerUIBundle({
  // The examples name the default port.
  spec: JSON.parse(description.replaceAll(/http:..localhost:3000/g, location.origin)),
  dom_id: "#api",
  deepLinking: true,
  displayOperationId: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null, // do not send the description to an external validator
  withCredentials: true,
});
