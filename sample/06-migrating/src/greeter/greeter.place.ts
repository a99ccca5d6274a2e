/** Where the greeter listens, and where it is called. */
export const greeterPlace = {
  host: '127.0.0.1',
  port: Number(process.env.GREETER_PORT ?? 4000),
};
